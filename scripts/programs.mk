# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# Programs for the guests: every TOP/SRC/*.c is one, with all of TOP/tests/guest/lib linked in, and with the parts of a larger one,
# NAME.c, in NAME/*.c. Run by programs.sh, in a guest tree, with TOP, SRC and OUT set.
CC ?= gcc
CFLAGS := -std=gnu11 -O2 -g -Wall -Wextra -Wno-unused-parameter -Werror=implicit-function-declaration -D_GNU_SOURCE -pthread \
	  -I$(TOP)/tests/guest/lib -I$(TOP)/$(SRC) -I$(TOP)/include/uapi -I$(TOP)/include -I$(TOP)/samples -idirafter $(TOP)/userspace/provider
LIBS := -lcmocka -lrdmacm -libverbs -lpthread -lrt -lm

lib := $(patsubst $(TOP)/tests/guest/lib/%.c,$(OUT)/lib/%.o,$(wildcard $(TOP)/tests/guest/lib/*.c))
programs := $(patsubst $(TOP)/$(SRC)/%.c,$(OUT)/%,$(wildcard $(TOP)/$(SRC)/*.c))

all: $(programs)

$(OUT)/lib/%.o: $(TOP)/tests/guest/lib/%.c
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

$(OUT)/lib/libguest.a: $(lib)
	rm -f $@
	ar rcs $@ $(lib)

parts = $(patsubst $(TOP)/$(SRC)/%.c,$(OUT)/parts/%.o,$(wildcard $(TOP)/$(SRC)/$1/*.c))

$(OUT)/parts/%.o: $(TOP)/$(SRC)/%.c
	mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

# One program is to see races of its own with those of the provider.
$(OUT)/provider_threads: CFLAGS += -fsanitize=thread

.SECONDEXPANSION:
$(OUT)/%: $(TOP)/$(SRC)/%.c $$(call parts,$$*) $(OUT)/lib/libguest.a
	$(CC) $(CFLAGS) -MMD -MP -MF $(OUT)/lib/$*.prog.d -MT $@ -o $@ $(filter %.c %.o %.a,$^) $(LIBS)

-include $(wildcard $(OUT)/lib/*.d $(OUT)/parts/*/*.d)
