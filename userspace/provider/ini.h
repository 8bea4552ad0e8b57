/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* One line of a file of sections and settings: "[kind name]", "key = value", or nothing. */
#ifndef RXO_INI_H
#define RXO_INI_H

enum rxo_ini_kind {
	RXO_INI_NOTHING, /* a comment, or empty */
	RXO_INI_SECTION,
	RXO_INI_SETTING,
	RXO_INI_BAD,
};

/* Points into the line; neither is empty. */
struct rxo_ini {
	const char *key; /* what kind of section, or of setting */
	const char *
		value; /* the section's name; RXO_INI_BAD: what is wrong, of the line it says "it" */
};

enum rxo_ini_kind rxo_ini_parse(char *line, struct rxo_ini *ini);

#endif /* RXO_INI_H */
