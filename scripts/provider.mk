# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# The provider. Run by provider.sh, in a guest tree, with TOP, OUT and ABI set, and by packaging/debian/rules, which has flags of its own
# and wants the library alone.
CC ?= gcc
SRC := $(TOP)/userspace/provider
CFLAGS := -std=gnu11 -O2 -g -fPIC -fvisibility=hidden -pthread -Wall -Wextra -Wno-unused-parameter -Wshadow -Wstrict-prototypes \
	  -Wmissing-prototypes -Werror=implicit-function-declaration -D_GNU_SOURCE \
	  -I$(SRC) -isystem $(OUT)/include -I$(TOP)/include/uapi $(PACKAGE_CFLAGS)

objects := $(patsubst $(SRC)/%.c,$(OUT)/obj/%.o,$(wildcard $(SRC)/*.c))
abi_headers := $(addprefix $(OUT)/include/kernel-abi/,ib_user_verbs.h rdma_user_rxe.h rxe_odp-abi.h)

# For tests, the same under ASan with UBSan, and under TSan.
asan := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
tsan := -O1 -fno-omit-frame-pointer -fsanitize=thread

all: library $(OUT)/asan/librxe_odp-rdmav$(ABI).so $(OUT)/tsan/librxe_odp-rdmav$(ABI).so

library: $(OUT)/librxe_odp-rdmav$(ABI).so $(OUT)/librxe_odp.so.1 $(OUT)/librxe_odp.so $(OUT)/librxe_odp.a

.PHONY: all library

$(OUT)/include/kernel-abi/rxe_odp-abi.h: $(TOP)/include/uapi/rdma/rxe_odp-abi.h
	python3 $(OUT)/make_abi_structs.py $< $@

$(OUT)/include/kernel-abi/%.h: $(OUT)/include/rdma/%.h
	python3 $(OUT)/make_abi_structs.py $< $@

$(OUT)/obj/%.o: $(SRC)/%.c $(abi_headers)
	mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

# libibverbs keeps pointers into it for ever: nobody who opened it may unload it.
$(OUT)/librxe_odp.so.1.0: $(objects) $(SRC)/provider.map
	$(CC) -shared -pthread -Wl,--no-undefined -Wl,--version-script,$(SRC)/provider.map -Wl,-soname,librxe_odp.so.1 \
		-Wl,-z,nodelete $(PACKAGE_LDFLAGS) \
		-o $@ $(objects) -libverbs

$(OUT)/%san/librxe_odp-rdmav$(ABI).so: $(objects)
	mkdir -p $(@D)
	$(CC) $(CFLAGS) $($(*)san) -shared -Wl,--version-script,$(SRC)/provider.map -o $@ $(wildcard $(SRC)/*.c) -libverbs

$(OUT)/librxe_odp.so $(OUT)/librxe_odp.so.1 $(OUT)/librxe_odp-rdmav$(ABI).so: $(OUT)/librxe_odp.so.1.0
	ln -sf $(<F) $@

# In the libibverbs.a of a release, what is private to its libraries has the release's prefix.
$(OUT)/static-names: $(objects)
	nm $$($(CC) -print-file-name=libibverbs.a) 2>/dev/null | \
		sed -n 's/.* T \(rdmacore[0-9]*_[0-9]*_\)\(.*\)/\2 \1\2/p' >$@
	test -s $@

$(OUT)/librxe_odp.a: $(OUT)/static-names
	rm -f $@
	ld -r -o $(OUT)/obj/static.o $(objects)
	objcopy --redefine-syms=$< $(OUT)/obj/static.o
	ar rcs $@ $(OUT)/obj/static.o

-include $(wildcard $(OUT)/obj/*.d)
