package attune
