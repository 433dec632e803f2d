# The emulator, into .cache/emu: libemu.so, and of each .cu file a library of its kernels. `make emu` runs this from the
# root of the checkout; with -k one broken file does not keep the others from being built.
EMU := .cache/emu
DIR := kernels/cuda
CXX ?= g++
# -ffp-contract=off: a*b+c is rounded twice, as with --fmad=false on the GPU. -g: errors name lines.
EMUFLAGS := -std=c++17 -O2 -g -march=x86-64-v3 -ffp-contract=off -fno-strict-aliasing -fPIC -Wall -Wextra -Wno-unused-function

CORE := schedule barrier meetings copies fault launch
KERNELS := $(patsubst $(DIR)/%.cu,$(EMU)/kernels/%.so,$(wildcard $(DIR)/*.cu $(EMU_ALSO)))

.PHONY: all
all: $(EMU)/libemu.so $(KERNELS)

$(EMU)/obj/%.o: $(DIR)/emu/%.cpp $(DIR)/emu/build.mk
	@mkdir -p $(@D)
	$(CXX) $(EMUFLAGS) -O3 -fvisibility=default -MMD -MP -c $< -o $@

$(EMU)/libemu.so: $(CORE:%=$(EMU)/obj/%.o)
	$(CXX) -shared -o $@.new $^ -pthread -ldl
	mv $@.new $@

$(EMU)/kernels/%.so: $(DIR)/%.cu $(DIR)/emu/build.mk | $(EMU)/libemu.so
	@mkdir -p $(@D) $(EMU)/obj/kernels
	$(CXX) $(EMUFLAGS) -fvisibility=hidden -Wno-unknown-pragmas -DEMULATOR -include $(DIR)/emu/emu.h -x c++ -MMD -MP -MT $@ -MF $(EMU)/obj/kernels/$*.d $< -x none -shared -o $@.new -L$(EMU) -lemu -Wl,-rpath,'$$ORIGIN/..'
	mv $@.new $@

-include $(CORE:%=$(EMU)/obj/%.d) $(wildcard $(EMU)/obj/kernels/*.d)
