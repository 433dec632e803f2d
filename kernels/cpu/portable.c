// The portable set: plain C for whatever the compiler targets. Each body is compiled from its own file.
#include "isa.h"

ATTUNE_TABLE
