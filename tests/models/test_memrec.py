from pocketrec.models.memrec import MODEL
from pocketrec.testing.model_contract import ModelContract


class TestTheContractOfMemRec(ModelContract):
    model = MODEL
