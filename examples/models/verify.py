"""Loads every artifact as a server would, checks what the README claims of it, and exits with 1 when a claim is false."""

import hashlib
import json
import sys
import time
from pathlib import Path

import numpy as np

import diabetes_versions
import digits_versions
from onnx_parts import open_session, run

FOLDER = Path(__file__).parent
MODELS = json.loads((FOLDER / 'models.json').read_text())
VERSIONS = ['v1', 'v2', 'v3', 'v4', 'v5']
RUNS = 101

OUTPUTS = {
    'digits': [('label', 'tensor(int64)', 1), ('probabilities', 'tensor(float)', 2)],
    'diabetes': [('prediction', 'tensor(float)', 2)],
}
SOURCES = {'digits': digits_versions, 'diabetes': diabetes_versions}
failures = []


def main():
    for model_name in MODELS:
        requests = read(model_name, 'requests.json')
        shifted = read(model_name, 'requests-shifted.json')
        sessions = {version: open_session(FOLDER / model_name / f'{version}.onnx') for version in VERSIONS}
        for version, session in sessions.items():
            check_form(model_name, version, session)
        live = {version: run(session, requests['features']) for version, session in sessions.items()}
        offline = {version: read(model_name, f'{version}.baseline.json')['predictions'] for version in VERSIONS}
        check_export(model_name, sessions, offline)
        report_means(model_name, live, offline)
        (check_digits if model_name == 'digits' else check_diabetes)(live, offline, np.array(requests['labels']))
        check_speed(model_name, sessions, requests['features'])
        check_throws(model_name, sessions, requests['features'], shifted['features'])
    print(f'{len(failures)} claims failed')
    sys.exit(1 if failures else 0)


def check_form(model_name, version, session):
    entry = MODELS[model_name]['versions'][version]
    content = (FOLDER / entry['file']).read_bytes()
    claim(f'{entry["file"]} is the file in models.json', hashlib.sha256(content).hexdigest() == entry['sha256'])
    claim(f'{entry["file"]} is below 500 kB', len(content) == entry['bytes'] < 500_000)
    (given,) = session.get_inputs()
    form = (given.name, given.type, given.shape[1:])
    claim(f'{entry["file"]} takes features', form == ('features', 'tensor(float)', [MODELS[model_name]['features']]))
    outputs = [(output.name, output.type, len(output.shape)) for output in session.get_outputs()]
    claim(f'{entry["file"]} answers {outputs}', outputs == OUTPUTS[model_name])


def check_export(model_name, sessions, offline):
    """Python and onnxruntime must agree on the validation rows; only v3, which lost its scaler, may not."""
    split = SOURCES[model_name].load()
    seen = {tuple(row) for row in np.concatenate([split.train_x, split.validation_x])}
    claim(f'{model_name} held-out rows were never seen before', not any(tuple(row) in seen for row in split.heldout_x))
    for version in VERSIONS:
        answers = run(sessions[version], split.validation_x)
        does_agree = bool(np.allclose(answers, offline[version], atol=0.05))
        claim(f'{model_name} {version} export {"loses" if version == "v3" else "keeps"} its answers', does_agree == (version != 'v3'))


def report_means(model_name, live, offline):
    for version in VERSIONS:
        before, now = np.array(offline[version]), live[version]
        print(
            f'     {model_name} {version}: offline mean {before.mean():.3f} sd {before.std(ddof=1):.3f}, '
            f'live mean {now.mean():.3f} sd {now.std(ddof=1):.3f}'
        )


def check_digits(live, offline, truth):
    held_out = {version: float((live[version] == truth).mean()) for version in VERSIONS}
    claim(f'digits v1 is good: {held_out["v1"]:.4f}', held_out['v1'] > 0.9)
    claim(f'digits v2 beats v1: {held_out["v2"]:.4f}', held_out['v2'] > held_out['v1'] + 0.015)
    claim(f'digits v3 is garbage: {held_out["v3"]:.4f}', held_out['v3'] < 0.4)
    drift = abs(live['v3'].mean() - np.mean(offline['v3']))
    claim(f'digits v3 moves the mean label by {drift:.2f}', drift > 2)
    looked_fine = MODELS['digits']['versions']['v3']['offline']['accuracy']
    claim(f'digits v3 looked fine offline: {looked_fine:.4f}', looked_fine > 0.95)
    for version in ('v4', 'v5'):
        claim(f'digits {version} is as good as v2: {held_out[version]:.4f}', held_out[version] > held_out['v2'] - 0.01)


def check_diabetes(live, offline, truth):
    held_out = {version: float(np.abs(live[version] - truth).mean()) for version in VERSIONS}
    claim(f'diabetes v1 beats the mean as an answer: {held_out["v1"]:.2f}', held_out['v1'] < np.abs(truth - truth.mean()).mean() - 5)
    claim(f'diabetes v2 beats v1: {held_out["v2"]:.2f}', held_out['v2'] < held_out['v1'] - 3)
    before = np.array(offline['v3'])
    deviations = abs(live['v3'].mean() - before.mean()) / before.std(ddof=1)
    claim(f'diabetes v3 is garbage: its mean is {deviations:.0f} standard deviations away', deviations > 4)
    looked_fine = MODELS['diabetes']['versions']['v3']['offline']['mae']
    claim(f'diabetes v3 looked fine offline: {looked_fine:.2f}', looked_fine < 48)
    for version in ('v4', 'v5'):
        claim(f'diabetes {version} is as good as v2: {held_out[version]:.2f}', held_out[version] < held_out['v2'] + 1)


def check_speed(model_name, sessions, rows):
    median_ms = {version: median_latency_ms(session, rows) for version, session in sessions.items()}
    for version in ('v1', 'v2', 'v3', 'v5'):
        claim(f'{model_name} {version} is fast: {median_ms[version]:.3f} ms', median_ms[version] < 1)
    claim(f'{model_name} v4 is slow: {median_ms["v4"]:.1f} ms', median_ms['v4'] >= 8)
    factor = median_ms['v4'] / median_ms['v2']
    claim(f'{model_name} v4 takes {factor:.0f} times as long as v2', factor > 20)


def median_latency_ms(session, rows):
    run(session, rows[:1])
    times = []
    for index in range(RUNS):
        row = [rows[index % len(rows)]]
        start = time.perf_counter()
        run(session, row)
        times.append((time.perf_counter() - start) * 1000)
    return float(np.median(times))


def check_throws(model_name, sessions, clean, shifted):
    is_shifted = [before != after for before, after in zip(clean, shifted, strict=True)]
    for version in ('v1', 'v2', 'v3', 'v4'):
        outputs = sessions[version].run(None, {'features': np.array(shifted, dtype=np.float32)})
        is_answered = all(np.isfinite(output).all() for output in outputs)
        claim(f'{model_name} {version} answers the shifted rows', is_answered)
    throws = [does_throw(sessions['v5'], [row]) for row in shifted]
    claim(f'{model_name} v5 throws on the {sum(is_shifted)} shifted rows of {len(shifted)}, on no other', throws == is_shifted)
    claim(f'{model_name} v5 refuses a whole batch for one such row', does_throw(sessions['v5'], shifted))
    claim(f'{model_name} v5 answers again afterwards', not does_throw(sessions['v5'], clean))


def does_throw(session, rows):
    try:
        run(session, rows)
    except Exception as error:  # noqa: BLE001 - the runtime's own error classes are not public
        return 'out of data bounds' in str(error)
    return False


def read(model_name, file):
    return json.loads((FOLDER / model_name / file).read_text())


def claim(text, is_true):
    print(f'{"ok  " if is_true else "FAIL"} {text}')
    if not is_true:
        failures.append(text)


if __name__ == '__main__':
    main()
