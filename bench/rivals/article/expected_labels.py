"""Prints the label of each sample as a JSON list: `expected_labels.py MODEL SAMPLES`, both paths.

The oracle of the correctness check: the answers of every server are compared with what the model says by itself.
"""

import json
import sys

from model import open_classifier

model_path, samples_path = sys.argv[1:]
classify = open_classifier(model_path)
with open(samples_path, encoding="utf-8") as file:
    samples = json.load(file)
json.dump([classify(features) for features in samples], sys.stdout)
