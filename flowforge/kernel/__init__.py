"""The pure core: definitions, expressions and the machine that decides what a run does next. No framework, no I/O."""
