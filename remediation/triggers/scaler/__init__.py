"""Target tracking: as many replicas of a service as its load needs, by the rules of Kubernetes' HPA v2.

``desired`` says how many a measurement asks for, ``behaviour`` how fast that may be followed, ``service``
joins both into the decisions for one service, ``rules`` reads what is wished, ``driver`` measures.
"""
