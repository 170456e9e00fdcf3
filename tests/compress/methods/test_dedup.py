from pocketrec.compress.methods.dedup import METHOD
from pocketrec.testing.method_contract import MethodContract


class TestDedup(MethodContract):
    method = METHOD
    variants = ({}, {"page_rows": 2000, "whole_epochs": 2})
