"""Newport: the ESP300 and ESP301 motion controllers as delay stages."""
