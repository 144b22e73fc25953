"""Figures of contrib/bench_/http: turns what a tool printed into a line `rate p50_ms p99_ms` a round, and rounds of two
sides into lines `name value unit ratio`, medians of the rounds beside each other."""
import re
import statistics
import sys


def percentiles(microseconds):
    ordered = sorted(microseconds)
    return ordered[len(ordered) // 2] / 1000, ordered[len(ordered) * 99 // 100] / 1000


def line(rate, p50, p99):
    print(f'{rate:.3f} {p50:.3f} {p99:.3f}')


def read(path):
    with open(path, encoding='utf-8') as file:
        return file.read()


def h2load(out, times, wanted):
    text = read(out)
    succeeded = int(re.search(r'(\d+) succeeded', text)[1])
    if succeeded != int(wanted):
        sys.exit(f'h2load: only {succeeded} of {wanted} requests succeeded')
    rows = [row.split('\t') for row in read(times).splitlines()]
    wrong = {row[1] for row in rows} - {'200'}
    if wrong:
        sys.exit(f'h2load: answers with status {", ".join(wrong)}')
    line(float(re.search(r'([\d.]+) req/s', text)[1]), *percentiles([int(row[2]) for row in rows]))


def pgbench(out, *logs):
    text = read(out)
    if re.search(r'aborted|failed transactions: [1-9]', text):
        sys.exit(f'pgbench: {text}')
    times = [int(row.split()[2]) for log in logs for row in read(log).splitlines()]
    line(float(re.search(r'tps = ([\d.]+)', text)[1]), *percentiles(times))


def order(out):
    orders, seconds, p50, p99 = read(out).split()
    line(int(orders) / float(seconds), int(p50) / 1000, int(p99) / 1000)


def show(name, unit, ours, reference):
    sides = [[statistics.median(column) for column in zip(*(map(float, row.split()) for row in read(path).splitlines()))]
             for path in (ours, reference)]
    for suffix, what, our, their in zip(('', '.p50', '.p99'), (unit, 'ms', 'ms'), *sides):
        print(f'{name}{suffix} {our:.{0 if what == unit else 2}f} {what} {our / their:.2f}')


def show_rate(name, unit, ours, reference):
    rates = [statistics.median(float(row.split()[0]) for row in read(path).splitlines()) for path in (ours, reference)]
    print(f'{name} {rates[0]:.0f} {unit} {rates[0] / rates[1]:.2f}')


if __name__ == '__main__':
    {'h2load': h2load, 'pgbench': pgbench, 'order': order, 'print': show, 'rate': show_rate}[sys.argv[1]](*sys.argv[2:])
