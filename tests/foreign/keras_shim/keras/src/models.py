from nabi import models


def __getattr__(name):
    return getattr(models, name)
