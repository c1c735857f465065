"""Trains the example models and writes every artifact beside this file; `verify.py` then checks what they claim."""

import os

# Before numpy loads: on one thread the linear algebra adds up in the same order every time.
for variable in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'):
    os.environ[variable] = '1'

import hashlib
import json
from pathlib import Path

import numpy as np
from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score

import diabetes_versions
import digits_versions
from onnx_parts import open_session, run

FOLDER = Path(__file__).parent
SHIFT_SEED = 7


def main():
    models = {
        'digits': write_model('digits', digits_versions, accuracy),
        'diabetes': write_model('diabetes', diabetes_versions, errors),
    }
    (FOLDER / 'models.json').write_text(json.dumps(models, indent=2) + '\n')


def write_model(name, source, measure):
    folder = FOLDER / name
    folder.mkdir(exist_ok=True)
    split = source.load()
    write_json(folder / 'requests.json', requests_of(split.heldout_x, split.heldout_y))
    shifted, _ = source.shift(split.heldout_x, np.random.default_rng(SHIFT_SEED))
    write_json(folder / 'requests-shifted.json', requests_of(shifted, split.heldout_y))
    return {
        'features': split.train_x.shape[1],
        'rows': {'train': len(split.train_y), 'validation': len(split.validation_y), 'heldOut': len(split.heldout_y)},
        'versions': {version.name: write_version(name, version, split, measure) for version in source.build(split)},
    }


def write_version(model_name, version, split, measure):
    content = version.graph.SerializeToString(deterministic=True)
    file = f'{model_name}/{version.name}.onnx'
    (FOLDER / file).write_bytes(content)
    write_json(FOLDER / model_name / f'{version.name}.baseline.json', {'predictions': plain(version.offline)})
    return {
        'file': file,
        'sha256': hashlib.sha256(content).hexdigest(),
        'bytes': len(content),
        'shows': version.shows,
        'offline': measure(split.validation_y, version.offline),
        'heldOut': measure(split.heldout_y, run(open_session(content), split.heldout_x)),
    }


def accuracy(truth, answers):
    return {'accuracy': round(float(accuracy_score(truth, answers)), 4)}


def errors(truth, answers):
    return {
        'mae': round(float(mean_absolute_error(truth, answers)), 2),
        'r2': round(float(r2_score(truth, answers)), 3),
    }


def requests_of(rows, truth):
    return {'features': [plain(row) for row in rows], 'labels': plain(truth)}


def plain(values):
    """Numbers as a person would write them: at most 4 decimals, and none when they are zero."""
    rounded = [round(float(value), 4) for value in values]
    return [int(value) if value.is_integer() else value for value in rounded]


def write_json(path, content):
    path.write_text(json.dumps(content, separators=(',', ':')) + '\n')


if __name__ == '__main__':
    main()
