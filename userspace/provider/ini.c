// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "ini.h"

#include <ctype.h>
#include <string.h>

static char *ini_trim(char *text)
{
	char *end = text + strlen(text);

	while (end > text && isspace((unsigned char)end[-1]))
		end--;
	*end = '\0';
	while (isspace((unsigned char)*text))
		text++;
	return text;
}

static enum rxo_ini_kind ini_bad(struct rxo_ini *ini, const char *why)
{
	ini->key = "";
	ini->value = why;
	return RXO_INI_BAD;
}

/* What stands behind the '['. */
static enum rxo_ini_kind ini_section(char *text, struct rxo_ini *ini)
{
	size_t len = strlen(text);
	char *name;

	if (!len || text[len - 1] != ']')
		return ini_bad(ini, "it begins with '[' and does not end with ']'");
	text[len - 1] = '\0';
	text = ini_trim(text);
	name = strpbrk(text, " \t");
	if (!name)
		return ini_bad(ini, "a section has a kind and a name, as [device rxe_odp0]");
	*name++ = '\0';
	ini->key = text;
	ini->value = ini_trim(name);
	return RXO_INI_SECTION;
}

enum rxo_ini_kind rxo_ini_parse(char *line, struct rxo_ini *ini)
{
	char *text = ini_trim(line), *equals;

	if (!*text || *text == '#' || *text == ';')
		return RXO_INI_NOTHING;
	if (*text == '[')
		return ini_section(text + 1, ini);
	equals = strchr(text, '=');
	if (!equals)
		return ini_bad(ini, "it is neither a section nor a setting, as register = pinned");
	*equals = '\0';
	ini->key = ini_trim(text);
	ini->value = ini_trim(equals + 1);
	if (!*ini->key || !*ini->value)
		return ini_bad(ini, "a setting has a name and a value, as register = pinned");
	return RXO_INI_SETTING;
}
