# SPDX-License-Identifier: Apache-2.0
# The helper of the benchmarks; included by the Makefile.

BENCH_OBJECTS := $(patsubst %,$(BUILD)/tests/bench/%.o,main measure place hooks refused allowed trip programs discover)

$(BUILD)/tests/bench/ebb-bench: $(BENCH_OBJECTS) $(LIBRARY)
	@echo "  LD    $@"
	$(Q)$(CC) $(LDFLAGS_ALL) $^ $(LIBS) -o $@

bench: $(BUILD)/ebb $(BUILD)/tests/bench/ebb-bench
	BUILD=$(BUILD) tests/bench/run.sh

-include $(BENCH_OBJECTS:.o=.d)

.PHONY: bench
