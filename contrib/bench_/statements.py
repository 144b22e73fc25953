"""Makes a pgbench script out of one order's statements in PostgreSQL's log (log_statement = all), for contrib/bench_/http.

    statements.py LOG SOCKET-FOLDER UNIT NAME-PREFIX

The statements stay as they are, with their parameters as parameters. A parameter's value stays what the broker sent, save for
what must differ between orders (ids, the resource's name, the idempotency key) or callers (unit, system); constants come as
comments `-- define NAME=VALUE`, which the caller passes on as -D. The transaction is looked for by the resource's name."""
import re
import subprocess
import sys

PREFIX = re.compile(r'^\d{4}-\d\d-\d\d \S+ \S+ \[(\d+)\] (\w+):  (.*)$')
UUID = re.compile(r'^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$')
VALUE = re.compile(r"\$(\d+) = (?:(NULL)|'((?:[^']|'')*)')")


def entries(path):
    """(process, level, text) of each entry of the log; lines without a prefix continue the one before."""
    found = []
    with open(path, encoding='utf-8') as file:
        for row in file.read().splitlines():
            match = PREFIX.match(row)
            if match:
                found.append([match[1], match[2], match[3]])
            elif found:
                found[-1][2] += '\n' + row.removeprefix('\t')
    return found


def transactions(log):
    """Each transaction as a list of (statement, values)."""
    open_ones = {}
    for process, level, text in log:
        executed = re.match(r'(?:execute [^:]+|statement): (.*)', text, re.S)
        if level == 'LOG' and executed:
            if executed[1].startswith('BEGIN'):
                open_ones[process] = []
            if process in open_ones:
                open_ones[process].append([executed[1], {}])
            if executed[1] == 'COMMIT' and process in open_ones:
                yield open_ones.pop(process)
        elif level == 'DETAIL' and process in open_ones and text.startswith('parameters: '):
            open_ones[process][-1][1] = {
                int(number): None if null else value.replace("''", "'") for number, null, value in VALUE.findall(text)}


def parameter_types(socket, statement):
    out = subprocess.run(
        ['psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-h', socket, '-U', 'yunqiao_app', '-d', 'yunqiao'],
        input=f"PREPARE one AS {statement};\nSELECT unnest(parameter_types)::text FROM pg_prepared_statements WHERE name = 'one';",
        check=True, capture_output=True, text=True).stdout
    return out.split('\n')


class Script:
    def __init__(self, unit, name):
        self.unit, self.name = unit, name
        self.ids, self.defines, self.statements = [], [], []

    def parameter(self, value, kind):
        if value is None:
            return 'NULL'
        if value == '':
            return "''" # -D takes no empty value
        if value == self.unit:
            return ':unit'
        if value == self.unit + '001':
            return ':system'
        if value.startswith(self.name) and '"' not in value:
            return ':name'
        if UUID.match(value):
            if value not in self.ids:
                self.ids.append(value)
            expression = f':id{self.ids.index(value) + 1}'
            # pgbench counts in integers alone.
            return f"lpad({expression}, 32, 'f')::uuid" if kind == 'uuid' else expression
        if '\n' in value:
            sys.exit(f'a parameter has several lines: {value}')
        if value not in self.defines:
            self.defines.append(value)
        return f':p{self.defines.index(value) + 1}'

    def add(self, socket, statement, values):
        if re.search(r'(?<!:):[A-Za-z_]', statement):
            sys.exit(f'pgbench would take a part of this for a variable: {statement}')
        kinds = parameter_types(socket, statement) if values else []
        self.statements.append(re.sub(r'\$(\d+)', lambda at: self.parameter(values[int(at[1])], kinds[int(at[1]) - 1]), statement))

    def print(self):
        for number, value in enumerate(self.defines, 1):
            print(f'-- define p{number}={value}')
        print(f'\\set n :n + 1\n\\set name 1000000000000000 + (:n * 1000 + :client_id) * {len(self.ids) + 1}')
        for number in range(1, len(self.ids) + 1):
            print(f'\\set id{number} :name + {number}')
        print(f'\\set unit {self.unit} + :client_id\n\\set system :unit * 1000 + 1')
        for statement in self.statements:
            print(statement.replace('\n', ' ') + ';')


def main(log, socket, unit, name):
    for transaction in transactions(entries(log)):
        inserts = any('INSERT INTO orders' in statement for statement, _ in transaction)
        if inserts and any(value and name in value for _, values in transaction for value in values.values()):
            script = Script(unit, f'line-{name}')
            for statement, values in transaction:
                script.add(socket, statement, values)
            script.print()
            return
    sys.exit('no transaction in the log places that order')


if __name__ == '__main__':
    main(*sys.argv[1:])
