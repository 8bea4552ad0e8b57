// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The administrator's file: which of its settings is for a device and a program, and that each line which says nothing is told by
 * its number, with nothing of the file in force.
 */
#include "unit.h"

#include <stdbool.h>
#include <stdio.h>

#include "provider/policy.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static bool read_bytes(const char *text, size_t len, enum rxo_register *policy, char why[256])
{
	FILE *file = fmemopen((void *)text, len, "r");
	bool good;

	assert_non_null(file);
	*policy = RXO_REGISTER_UNSET;
	why[0] = '\0';
	good = rxo_policy_read(file, "FILE", "rxe_odp0", "fio", policy, why);
	fclose(file);
	return good;
}

static const struct {
	const char *text;
	enum rxo_register policy;
} goods[] = {
	{ "\n", RXO_REGISTER_UNSET },
	{ "# nothing\n; nothing\n \t\r\n", RXO_REGISTER_UNSET },
	{ "[device rxe_odp0]\nregister = pinned\n", RXO_REGISTER_PINNED },
	{ "[device rxe_odp0]\nregister = on-demand", RXO_REGISTER_ON_DEMAND },
	{ "[device rxe_odp0]\nregister=implicit\n", RXO_REGISTER_IMPLICIT },
	{ "  [ device   rxe_odp0\t]\r\n\tregister   =\ton-demand\r\n", RXO_REGISTER_ON_DEMAND },
	{ "[device rxe_odp1]\nregister = pinned\n", RXO_REGISTER_UNSET },
	{ "[device rxe_odp*]\nregister = pinned\n", RXO_REGISTER_PINNED },
	{ "[device *]\nregister = pinned\n[device rxe_odp0]\nregister = on-demand\n",
	  RXO_REGISTER_ON_DEMAND },
	{ "[device rxe_odp0]\nregister = on-demand\n[device mlx5_?]\nregister = pinned\n",
	  RXO_REGISTER_ON_DEMAND },
	/* A program before a device, in either order. */
	{ "[program fio]\nregister = pinned\n[device rxe_odp0]\nregister = on-demand\n",
	  RXO_REGISTER_PINNED },
	{ "[device rxe_odp0]\nregister = on-demand\n[program f?o]\nregister = pinned\n",
	  RXO_REGISTER_PINNED },
	{ "[program perftest]\nregister = pinned\n", RXO_REGISTER_UNSET },
	{ "[program fio]\n[device rxe_odp0]\n", RXO_REGISTER_UNSET },
	/* A name may have blanks in it. */
	{ "[program fio rdma]\nregister = pinned\n", RXO_REGISTER_UNSET },
};

static void good_files(void **state)
{
	enum rxo_register policy;
	char why[256];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(goods); i++) {
		if (!read_bytes(goods[i].text, strlen(goods[i].text), &policy, why))
			fail_msg("'%s': %s", goods[i].text, why);
		if (policy != goods[i].policy)
			fail_msg("'%s': %d", goods[i].text, policy);
	}
}

/* The bad line is the last one; a good setting stands before it. */
#define GOOD "[device rxe_odp0]\nregister = pinned\n"

static const struct {
	const char *text;
	size_t len;
	const char *why;
} bads[] = {
#define BAD(text, why)                                                                             \
	{                                                                                          \
		GOOD text, sizeof(GOOD text) - 1, why                                              \
	}
	BAD("register", "neither a section nor a setting"),
	BAD("x", "neither a section nor a setting"),
	BAD("= pinned\n", "a name and a value"),
	BAD("register =\n", "a name and a value"),
	BAD("=\n", "a name and a value"),
	BAD("register = pinnned\n", "on-demand, pinned or implicit"),
	BAD("register = pinned # for now\n", "on-demand, pinned or implicit"),
	BAD("Register = pinned\n", "no such setting"),
	BAD("registers = pinned\n", "no such setting"),
	BAD("[\n", "does not end with ']'"),
	BAD("[]\n", "a kind and a name"),
	BAD("[device]\n", "a kind and a name"),
	BAD("[device ]\n", "a kind and a name"),
	BAD("[device rxe_odp0\n", "does not end with ']'"),
	BAD("[device rxe_odp0] # mine\n", "does not end with ']'"),
	BAD("[port rxe_odp0]\n", "a device or a program"),
	BAD("[ \t ]\n", "a kind and a name"),
	BAD("regis\0ter = pinned\n", "a byte of 0"),
	BAD("\0", "a byte of 0"),
	BAD("\377\376[\n", "neither a section nor a setting"),
};

static void bad_lines(void **state)
{
	enum rxo_register policy;
	char why[256];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bads); i++) {
		if (read_bytes(bads[i].text, bads[i].len, &policy, why))
			fail_msg("'%s' is taken", bads[i].text);
		if (strncmp(why, "FILE:3: ", 8) || !strstr(why, bads[i].why))
			fail_msg("'%s': %s", bads[i].text, why);
		assert_null(strchr(why, '\n'));
		assert_int_equal(policy, RXO_REGISTER_UNSET);
	}
}

static void setting_before_any_section(void **state)
{
	const char *text = "register = pinned\n";
	enum rxo_register policy;
	char why[256];

	assert_false(read_bytes(text, strlen(text), &policy, why));
	assert_non_null(strstr(why, "FILE:1: it stands before the first section"));
}

static void long_line(void **state)
{
	static char text[60000];
	enum rxo_register policy;
	char why[256];

	memset(text, 'x', sizeof(text));
	assert_false(read_bytes(text, sizeof(text), &policy, why));
	memset(text, '#', sizeof(text));
	assert_true(read_bytes(text, sizeof(text), &policy, why));
	assert_int_equal(policy, RXO_REGISTER_UNSET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_files),
		cmocka_unit_test(bad_lines),
		cmocka_unit_test(setting_before_any_section),
		cmocka_unit_test(long_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
