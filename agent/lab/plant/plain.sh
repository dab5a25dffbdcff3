# Nothing planted: Debian's defaults.
