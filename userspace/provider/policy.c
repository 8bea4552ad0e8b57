// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "policy.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ini.h"

/* A file that is longer is none of ours. */
#define POLICY_FILE_BYTES 65536

enum rxo_register rxo_policy_parse(const char *word)
{
	if (!strcmp(word, "pinned"))
		return RXO_REGISTER_PINNED;
	if (!strcmp(word, "on-demand"))
		return RXO_REGISTER_ON_DEMAND;
	return strcmp(word, "implicit") ? RXO_REGISTER_UNSET : RXO_REGISTER_IMPLICIT;
}

/* The sections of a file, as they are read. */
struct policy_reader {
	const char *device, *program;
	enum { NO_SECTION, OTHERS, DEVICES, PROGRAMS } section;
	enum rxo_register of_device, of_program;
};

static const char *policy_section(struct policy_reader *reader, const struct rxo_ini *ini)
{
	bool program = !strcmp(ini->key, "program");

	if (!program && strcmp(ini->key, "device"))
		return "a section is of a device or a program";
	reader->section = OTHERS;
	if (!fnmatch(ini->value, program ? reader->program : reader->device, 0))
		reader->section = program ? PROGRAMS : DEVICES;
	return NULL;
}

static const char *policy_setting(struct policy_reader *reader, const struct rxo_ini *ini)
{
	enum rxo_register value;

	if (reader->section == NO_SECTION)
		return "it stands before the first section, and so is about nothing";
	if (strcmp(ini->key, "register"))
		return "there is no such setting; \"register\" is one";
	value = rxo_policy_parse(ini->value);
	if (value == RXO_REGISTER_UNSET)
		return "register is on-demand, pinned or implicit";
	if (reader->section == DEVICES)
		reader->of_device = value;
	else if (reader->section == PROGRAMS)
		reader->of_program = value;
	return NULL;
}

/* NULL, or what is wrong. @len: with what a byte of 0 hides. */
static const char *policy_line(struct policy_reader *reader, char *line, size_t len)
{
	struct rxo_ini ini;

	if (strlen(line) != len)
		return "it has a byte of 0, so that the file is no text";
	switch (rxo_ini_parse(line, &ini)) {
	case RXO_INI_SECTION:
		return policy_section(reader, &ini);
	case RXO_INI_SETTING:
		return policy_setting(reader, &ini);
	case RXO_INI_BAD:
		return ini.value;
	default:
		return NULL;
	}
}

bool rxo_policy_read(FILE *file, const char *path, const char *device, const char *program,
		     enum rxo_register *policy, char why[256])
{
	struct policy_reader reader = { .device = device, .program = program };
	const char *wrong = NULL;
	unsigned int number = 0;
	char *line = NULL;
	size_t room = 0;
	ssize_t len;

	while (!wrong && (len = getline(&line, &room, file)) >= 0) {
		number++;
		wrong = policy_line(&reader, line, len);
	}
	if (wrong)
		snprintf(why, 256, "%s:%u: %s; mend it, nothing of the file is in force until then",
			 path, number, wrong);
	else
		*policy = reader.of_program ? reader.of_program : reader.of_device;
	free(line);
	return !wrong;
}

static void policy_say(atomic_flag *told, const char *sentence)
{
	if (!atomic_flag_test_and_set(told))
		fprintf(stderr, "librxe_odp: %s.\n", sentence);
}

/* NULL and errno. EFBIG: it is no regular file, or one of a length that makes no sense. */
static FILE *policy_open(void)
{
	/* Whatever it is, to open it does not wait. */
	int fd = open(RXO_POLICY_FILE, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat stat;
	FILE *file;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &stat) || !S_ISREG(stat.st_mode) || stat.st_size > POLICY_FILE_BYTES) {
		close(fd);
		errno = EFBIG;
		return NULL;
	}
	file = fdopen(fd, "re");
	if (!file)
		close(fd);
	return file;
}

static enum rxo_register policy_of_file(const char *device)
{
	static atomic_flag told = ATOMIC_FLAG_INIT;
	enum rxo_register policy = RXO_REGISTER_UNSET;
	FILE *file = policy_open();
	char why[256];

	if (!file) {
		if (errno == ENOENT)
			return policy;
		snprintf(why, sizeof(why), "%s is not read: %s", RXO_POLICY_FILE,
			 errno == EFBIG ? "it is no regular file of less than 64 KiB" :
					  strerror(errno));
		policy_say(&told, why);
		return policy;
	}
	if (!rxo_policy_read(file, RXO_POLICY_FILE, device, program_invocation_short_name, &policy,
			     why))
		policy_say(&told, why);
	fclose(file);
	return policy;
}

static enum rxo_register policy_of_environment(void)
{
	static atomic_flag told = ATOMIC_FLAG_INIT;
	const char *word = secure_getenv("RXE_ODP_REGISTER");
	enum rxo_register policy;

	if (!word || !*word)
		return RXO_REGISTER_UNSET;
	policy = rxo_policy_parse(word);
	if (policy == RXO_REGISTER_UNSET)
		policy_say(&told,
			   "RXE_ODP_REGISTER is ignored: it may be on-demand, pinned or implicit");
	return policy;
}

enum rxo_register rxo_policy_of(const char *device)
{
	static atomic_flag told = ATOMIC_FLAG_INIT;
	enum rxo_register policy = policy_of_environment();

	if (policy == RXO_REGISTER_UNSET)
		policy = policy_of_file(device);
	if (policy != RXO_REGISTER_IMPLICIT)
		return policy;
	policy_say(
		&told,
		"memory is registered on demand, region by region: one implicit region for all of it would let whoever has a key reach all of it");
	return RXO_REGISTER_ON_DEMAND;
}
