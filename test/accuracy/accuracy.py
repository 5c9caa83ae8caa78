#!/usr/bin/env python3
"""accuracy.py MAP CORPUS AT_APP [SHOW...] - names of flows, held against nDPI's

Prototype.
"""
