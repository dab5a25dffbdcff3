"""Pure judgement: facts and controls in, verdicts and findings out. No I/O, no clock, no network."""
