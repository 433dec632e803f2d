# The emulator, into .cache/emu: libemu.so, and of each .cu file a library of its kernels. `make emu` runs this from the
# root of the checkout; with -k one broken file does not keep the others from being built.
EMU := .cache/emu
DIR := kernels/cuda
CXX ?= g++
# -ffp-contract=off: a*b+c is rounded twice, as with --fmad=false on the GPU. -g: errors name lines, by return addresses, so
# calls at the end of a function stay calls. -fstack-clash-protection: a stack that is too small ends at its guard page.
EMUFLAGS := -std=c++17 -O2 -g -march=x86-64-v3 -ffp-contract=off -fno-strict-aliasing -fno-optimize-sibling-calls -fstack-clash-protection -fPIC -Wall -Wextra -Wno-unused-function -Wno-unused-parameter

CORE := schedule barrier meetings copies fault launch tensormap hopper wgmma
KERNELS := $(patsubst $(DIR)/%.cu,$(EMU)/kernels/%.so,$(wildcard $(DIR)/*.cu))
CHECKS := $(patsubst $(DIR)/emutest/%.cu,$(EMU)/kernels/%.so,$(wildcard $(DIR)/emutest/*.cu))

.PHONY: all
all:

include $(DIR)/emu/faces.mk

all: $(EMU)/libemu.so $(KERNELS) $(CHECKS) $(FACES)
	@rm -f $(filter-out $(KERNELS) $(CHECKS),$(wildcard $(EMU)/kernels/*.so))

$(EMU)/obj/%.o: $(DIR)/emu/%.cpp $(DIR)/emu/build.mk
	@mkdir -p $(@D)
	$(CXX) $(EMUFLAGS) -O3 -flto -fvisibility=hidden -MMD -MP -c $< -o $@

$(EMU)/libemu.so: $(CORE:%=$(EMU)/obj/%.o)
	$(CXX) $(EMUFLAGS) -O3 -flto -shared -Wl,-z,defs -o $@.$$PPID $^ -pthread -ldl
	mv $@.$$PPID $@

# A library stands under another name until it is whole.
define kernels
@mkdir -p $(@D) $(EMU)/obj/kernels
$(CXX) $(EMUFLAGS) -fvisibility=hidden -Wno-unknown-pragmas -DEMULATOR -include $(DIR)/emu/emu.h -x c++ -MMD -MP -MT $@ -MF $(EMU)/obj/kernels/$*.d $< -x none -shared -o $@.$$PPID -L$(EMU) -lemu -Wl,-rpath,'$$ORIGIN/..'
mv $@.$$PPID $@
endef

$(EMU)/kernels/%.so: $(DIR)/%.cu $(DIR)/emu/build.mk | $(EMU)/libemu.so
	$(kernels)

$(EMU)/kernels/%.so: $(DIR)/emutest/%.cu $(DIR)/emu/build.mk | $(EMU)/libemu.so
	$(kernels)

-include $(CORE:%=$(EMU)/obj/%.d) $(wildcard $(EMU)/obj/kernels/*.d)
