# What goes before the shell blocks of CONTRIBUTING in CI: parts of the suite are chosen and not run, since
# all of it runs beside them.
export PYTEST_ADDOPTS=--collect-only
