# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# The tools of userspace/tools. Run by tools.sh in a guest tree, with TOP and OUT set; a packager sets the same (and CFLAGS, LDFLAGS).
CC ?= gcc
CFLAGS ?= -O2 -g
override CFLAGS += -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Wno-unused-parameter -Wno-format-truncation -idirafter $(TOP)/include/uapi

objects := $(patsubst $(TOP)/userspace/tools/odp_top/%.c,$(OUT)/parts/%.o,$(wildcard $(TOP)/userspace/tools/odp_top/*.c))

all: $(OUT)/odp_top $(OUT)/odp_trace $(OUT)/rxe_odp_check

$(OUT)/parts/%.o: $(TOP)/userspace/tools/odp_top/%.c
	mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(OUT)/odp_top: $(objects)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(objects) -lncursesw -ltinfo -lm

$(OUT)/%: $(TOP)/userspace/tools/%
	install -m 755 $< $@

-include $(wildcard $(OUT)/parts/*.d)
