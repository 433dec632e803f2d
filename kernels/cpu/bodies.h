// Every kernel body, for the translation units that compile them all again.
