"""stub"""


def check(settings):
    pass
