# The emulated driver and the emulated cuBLASLt, for build.mk: libcuda.so.1 (and libcuda.so, to link with), libcublasLt.so.12,
# and the same library as cuBLASLt 13 would be called. And archives/, for ATTUNE_CUDA_KERNELS: modules that have the kernels'
# names alone, with which attune-cuda runs in the emulator before anything is compiled for a GPU.
DRIVER := state device memory copy stream graph module misc faces stubs
FACES := $(EMU)/libcuda.so.1 $(EMU)/libcuda.so $(EMU)/libcublasLt.so.12 $(EMU)/libcublasLt.so.13 $(EMU)/faces_test
FACES += $(KERNELS:$(EMU)/kernels/%.so=$(EMU)/archives/sm_90a/%.cubin)

$(EMU)/obj/faces/%.o: $(DIR)/emu/%.cpp $(DIR)/emu/faces.mk
	@mkdir -p $(@D)
	$(CXX) $(EMUFLAGS) -fvisibility=hidden -MMD -MP -c $< -o $@

$(EMU)/libcuda.so.1: $(DRIVER:%=$(EMU)/obj/faces/driver_%.o) | $(EMU)/libemu.so
	$(CXX) -shared -Wl,-soname,libcuda.so.1 -o $@.$$PPID $^ -L$(EMU) -lemu -Wl,-rpath,'$$ORIGIN' -pthread -ldl
	mv $@.$$PPID $@

$(EMU)/libcuda.so: | $(EMU)/libcuda.so.1
	ln -sf libcuda.so.1 $@

$(EMU)/obj/faces/lt13.o: $(DIR)/emu/lt.cpp $(DIR)/emu/faces.mk
	@mkdir -p $(@D)
	$(CXX) $(EMUFLAGS) -fvisibility=hidden -DEMU_LT_VERSION=130000 -MMD -MP -c $< -o $@

$(EMU)/libcublasLt.so.12: $(EMU)/obj/faces/lt.o
$(EMU)/libcublasLt.so.13: $(EMU)/obj/faces/lt13.o
$(EMU)/libcublasLt.so.12 $(EMU)/libcublasLt.so.13: $(EMU)/obj/faces/lt_product.o | $(EMU)/libcuda.so.1
	$(CXX) -shared -Wl,-soname,$(@F) -o $@.$$PPID $^ -L$(EMU) -l:libcuda.so.1 -Wl,-rpath,'$$ORIGIN'
	mv $@.$$PPID $@

$(EMU)/faces_test: $(EMU)/obj/faces/faces_test.o $(EMU)/obj/faces/lt_test.o | $(EMU)/libcuda.so.1
	$(CXX) -o $@.$$PPID $^ -L$(EMU) -l:libcuda.so.1 -lemu -Wl,-rpath,'$$ORIGIN' -ldl -pthread
	mv $@.$$PPID $@

$(EMU)/archives/sm_90a/%.cubin: $(EMU)/kernels/%.so $(DIR)/emu/faces.mk
	@mkdir -p $(addprefix $(EMU)/archives/,sm_80 sm_86 sm_89 sm_90a compute_80)
	@{ printf '.version 8.0\n.target sm_80\n'; nm $< | sed -n 's/.* t _ZL[0-9]*\(.*\)_registerv$$/.visible .entry \1(/p'; } >$@
	@case $* in *_sm90) ;; *) \
	  for a in sm_80 sm_86 sm_89; do cp $@ $(EMU)/archives/$$a/; done; cp $@ $(EMU)/archives/compute_80/$*.ptx ;; esac
# Those of files that are no more.
$(foreach f,$(filter-out $(notdir $(KERNELS:.so=)),$(basename $(notdir $(wildcard $(EMU)/archives/sm_90a/*.cubin)))),$(shell rm -f $(EMU)/archives/*/$(f).*))

-include $(wildcard $(EMU)/obj/faces/*.d)
