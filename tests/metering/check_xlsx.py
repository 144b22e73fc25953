"""Reads a workbook with nothing but the standard library and says whether it is one: check_xlsx.py FILE TOTAL ROWS.

Every formula is computed anew from the cells and must have the value that is stored with it, in decimal; the overview's last total
must be TOTAL yuan, the sheets of lines must have ROWS rows between them, and no cell but totals may be a formula."""
import decimal
import re
import sys
import xml.etree.ElementTree as tree
import zipfile

NS = {'m': 'http://schemas.openxmlformats.org/spreadsheetml/2006/main'}
REL = '{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id'


def cells_of(book, path):
    """Cell name → (value as text, formula or None)."""
    found = {}
    for cell in tree.fromstring(book.read(path)).iterfind('.//m:sheetData/m:row/m:c', NS):
        value, formula = cell.find('m:v', NS), cell.find('m:f', NS)
        text = ''.join(part.text or '' for part in cell.iterfind('.//m:t', NS))
        found[cell.get('r')] = (value.text if value is not None else text, None if formula is None else formula.text)
    return found


def yuan(text):
    """Numbers are stored as binary floating point; two decimals are what they stand for."""
    return decimal.Decimal(repr(float(text))).quantize(decimal.Decimal('0.01'))


def compute(sheets, name, formula):
    total = re.fullmatch(r"SUM\(([A-Z])(\d+):[A-Z](\d+)\)", formula)
    if total:
        column, first, last = total[1], int(total[2]), int(total[3])
        return sum((yuan(sheets[name][f'{column}{row}'][0]) for row in range(first, last + 1)
                    if f'{column}{row}' in sheets[name]), decimal.Decimal(0))
    return sum(yuan(sheets[sheet][cell][0]) for sheet, cell in re.findall(r"'([^']+)'!([A-Z]\d+)", formula))


def main(path, total, rows):
    book = zipfile.ZipFile(path)
    assert book.testzip() is None
    targets = {rel.get('Id'): rel.get('Target') for rel in tree.fromstring(book.read('xl/_rels/workbook.xml.rels'))}
    sheets = {sheet.get('name'): cells_of(book, 'xl/' + targets[sheet.get(REL)])
              for sheet in tree.fromstring(book.read('xl/workbook.xml')).iterfind('.//m:sheet', NS)}
    assert list(sheets)[:6] == ['Overview', 'By unit', 'By cloud', 'By provider', 'By item', 'Lines'], list(sheets)
    formulas = 0
    for name, cells in sheets.items():
        for cell, (value, formula) in cells.items():
            if formula is None:
                continue
            formulas += 1
            assert compute(sheets, name, formula) == yuan(value), (name, cell, formula, value)
            assert name == 'Overview' or cells[f'A{cell[1:]}'][0] == 'Total', (name, cell)
    overview = [value for cell, (value, formula) in sheets['Overview'].items() if formula]
    assert all(yuan(value) == decimal.Decimal(total) for value in overview), (overview, total)
    lines = 0
    for name in sheets:
        if name.startswith('Lines'):
            lines += sum(1 for cell in sheets[name] if re.fullmatch(r'A\d+', cell)) - 2
    assert lines == int(rows), (lines, rows)
    print(f'{len(sheets)} sheets, {formulas} formulas, {lines} lines')


if __name__ == '__main__':
    main(*sys.argv[1:])
