// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "netdev.h"
#include "test.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

bool netdev_set_feature(const char *netdev, const char *feature, bool on)
{
	struct {
		struct ethtool_sset_info info;
		uint32_t len;
	} sset = { .info = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ULL << ETH_SS_FEATURES } };
	struct ifreq ifr = { .ifr_data = (void *)&sset };
	struct ethtool_gstrings *names;
	struct ethtool_gfeatures *get;
	struct ethtool_sfeatures *set;
	uint32_t blocks, bit;
	bool before;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", netdev);
	assert_zero(ioctl(fd, SIOCETHTOOL, &ifr));
	names = calloc(1, sizeof(*names) + sset.len * ETH_GSTRING_LEN);
	blocks = (sset.len + 31) / 32;
	get = calloc(1, sizeof(*get) + blocks * sizeof(get->features[0]));
	set = calloc(1, sizeof(*set) + blocks * sizeof(set->features[0]));
	assert_true(names && get && set);
	names->cmd = ETHTOOL_GSTRINGS;
	names->string_set = ETH_SS_FEATURES;
	names->len = sset.len;
	ifr.ifr_data = (void *)names;
	assert_zero(ioctl(fd, SIOCETHTOOL, &ifr));
	for (bit = 0; bit < sset.len; bit++)
		if (!strcmp((char *)names->data + bit * ETH_GSTRING_LEN, feature))
			break;
	assert_true(bit < sset.len);

	get->cmd = ETHTOOL_GFEATURES;
	get->size = blocks;
	ifr.ifr_data = (void *)get;
	assert_zero(ioctl(fd, SIOCETHTOOL, &ifr));
	before = get->features[bit / 32].active >> bit % 32 & 1;

	set->cmd = ETHTOOL_SFEATURES;
	set->size = blocks;
	set->features[bit / 32].valid = 1U << bit % 32;
	set->features[bit / 32].requested = on ? 1U << bit % 32 : 0;
	ifr.ifr_data = (void *)set;
	assert_true(ioctl(fd, SIOCETHTOOL, &ifr) >= 0);
	free(names);
	free(get);
	free(set);
	close(fd);
	return before;
}
