from nabi.layers import *  # noqa: F403
