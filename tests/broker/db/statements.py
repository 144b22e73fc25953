"""The SQL statements of the program, as the compiler sees them: statements.py SOURCE-FOLDER BUILD-FOLDER.

Preprocesses every source that speaks of struct db_statement, with its command of compile_commands.json, and reads the
initialisers. Prints one JSON array [file, name, SQL] a line and at the end the number of them; ends with a message and
status 1 at anything it does not understand, so that no statement is missed in silence."""
import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys

FOLDERS = ('broker', 'catalog', 'drivers', 'federation', 'metering')
TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|\w+|\S')
ESCAPE = re.compile(r'\\(["\\?\'nt])')
PLAIN = {'n': '\n', 't': '\t'}


class Odd(Exception):
    pass


def literal(token):
    text = ESCAPE.sub(lambda found: PLAIN.get(found[1], found[1]), token[1:-1])
    if '\\' in ESCAPE.sub('', token):
        raise Odd(f'an escape in {token}')
    return text


def one(tokens):
    """[name, SQL] of an initialiser without its braces."""
    parts, values = [[]], []
    for token in tokens:
        if token == ',':
            parts.append([])
        else:
            parts[-1].append(token)
    if not parts[-1]:
        parts.pop()
    for part, member in zip(parts, ('name', 'sql')):
        if part[:3] == ['.', member, '=']:
            part = part[3:]
        if not part or any(not token.startswith('"') for token in part):
            raise Odd(f'an initialiser: {" ".join(part)[:200]}')
        values.append(''.join(literal(token) for token in part))
    if len(parts) != 2:
        raise Odd(f'an initialiser of {len(parts)} members')
    return values


def initialiser(tokens, at):
    """All statements of the braces that open at `at`, and where they end."""
    found, opened, depth = [], at, 0
    while True:
        if tokens[at] == '{':
            opened, depth = at, depth + 1
        elif tokens[at] == '}':
            if opened is not None:
                found.append(one(tokens[opened + 1:at]))
            opened, depth = None, depth - 1
            if not depth:
                return found, at + 1
        at += 1


def statements(text):
    tokens, found, at = TOKEN.findall(text), [], 0
    while at < len(tokens) - 2:
        if tokens[at:at + 2] != ['struct', 'db_statement']:
            at += 1
            continue
        begin, at = at, at + 2
        named = False
        if tokens[at] in ('{', '*'):
            continue
        if tokens[at] == ')' and tokens[at + 1] == '{':
            more, at = initialiser(tokens, at + 1)
            found += more
            continue
        while re.fullmatch(r'\w+', tokens[at]):
            named, at = True, at + 1
            while tokens[at] == '[':
                at = tokens.index(']', at) + 1
            if tokens[at:at + 2] == ['=', '{']:
                more, at = initialiser(tokens, at + 1)
                found += more
            elif 'extern' not in tokens[max(begin - 2, 0):begin]:
                raise Odd(f'a declaration: {" ".join(tokens[begin:at + 2])[:200]}')
            if tokens[at] == ',':
                at += 1
        if not named or tokens[at] != ';':
            raise Odd(f'a declaration: {" ".join(tokens[begin:at + 1])[:200]}')
    return found


def read(path):
    with open(path, encoding='utf-8') as file:
        return file.read()


def preprocessed(entry):
    words = shlex.split(entry['command'])
    output = words.index('-o')
    words = words[:output] + words[output + 2:] + ['-E', '-P']
    words.remove('-c')
    done = subprocess.run(words, cwd=entry['directory'], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Odd(done.stderr)
    return done.stdout


def look(path, entry):
    try:
        return statements(preprocessed(entry))
    except (Odd, IndexError, ValueError) as error:
        sys.exit(f'{path}: {error}')


def main(source, build):
    commands = {}
    for entry in json.loads(read(os.path.join(build, 'compile_commands.json'))):
        commands.setdefault(os.path.relpath(entry['file'], source), entry)
    paths = []
    for top in FOLDERS:
        for folder, _, names in os.walk(os.path.join(source, top)):
            paths += [os.path.relpath(os.path.join(folder, name), source) for name in names if name.endswith(('.c', '.h'))]
    chosen = []
    for path in sorted(paths):
        text = read(os.path.join(source, path))
        if re.search(r'^\s*#\s*define\b(?:[^\n]*\\\n)*[^\n]*\bstruct\s+db_statement\b', text, re.M) and path.endswith('.h'):
            sys.exit(f'{path}: a macro of a header that makes statements is not looked for')
        if path.endswith('.c') and re.search(r'\bdb_statement\b', text):
            if path not in commands:
                sys.exit(f'{path}: is not compiled')
            chosen.append(path)
    count = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for path, found in zip(chosen, pool.map(lambda path: look(path, commands[path]), chosen)):
            for name, sql in found:
                print(json.dumps([path, name, sql]))
            count += len(found)
    print(count)


main(*sys.argv[1:])
