/* The journal that the tiny guest keeps (contrib/guest) on an ext4 file system of a whole disk: made on a
 * qcow2 file, read from a console, and checked on the file. Each fails the cmocka test with what it found. */
#ifndef TESTS_SUPPORT_JOURNAL_H
#define TESTS_SUPPORT_JOURNAL_H

/* Makes `file` anew: qcow2 of 1 GiB with an empty file system. Nobody has it open. */
void journal_format(const char *file);
/* The highest record that the guest `name` said is on its disk, by what its console shows; 0: none yet. */
unsigned journal_last(const char *console, const char *name);
/* The first one that it holds; 0: none. */
unsigned journal_first(const char *console, const char *name);
/* Of a guest that is off: the file system is clean, the records are 1…n without gap or repeat, every checksum
 * is right, and n is at least `said`. Returns n. `folder` is for what is made meanwhile. */
unsigned journal_verify(const char *file, const char *folder, const char *name, unsigned said);

#endif
