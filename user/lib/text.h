/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text from outside, made fit to print: what the kernel, the network or
 * another user named must not steer a terminal or break a JSON reader.
 */
#ifndef EBB_LIB_TEXT_H
#define EBB_LIB_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Reads one UTF-8 character, shortest form only (RFC 3629). Returns its length in bytes, or 0
 * when there is none. A NUL behind the text stops it: that is no continuation byte.
 */
size_t ebb_text_decode(const unsigned char *s, uint32_t *ret_char);

/*
 * Copies @text into @buffer, which is returned. Control characters, characters
 * that turn the writing direction, and bytes that are no UTF-8 become "\xNN",
 * byte by byte; all else, a backslash included, stays. What does not fit is
 * cut, never within a character.
 */
const char *ebb_text_escape(const char *text, char *buffer, size_t size);

/* The terminal columns that escaped text takes, whatever the locale. */
size_t ebb_text_columns(const char *text);

/*
 * Reads one character of UTF-8, U+FFFD for a byte that is none. Returns its length in bytes; 0 at the
 * end, with *@ret_char untouched.
 */
size_t ebb_text_next(const char *text, uint32_t *ret_char);

#define EBB_TEXT_CHAR_MAX 4
/* Writes a character below 0x110000 as UTF-8, without an end; returns its length in bytes. */
size_t ebb_text_encode(uint32_t c, char bytes[EBB_TEXT_CHAR_MAX]);

/* 2 for what terminals draw wide (Chinese, pictures), 0 for an accent on the character before, else 1. */
unsigned int ebb_text_char_columns(uint32_t c);

/*
 * How many letters must be added, dropped, changed or swapped with their
 * neighbour to make @b out of @a; only the first 63 bytes of each are looked at.
 */
size_t ebb_text_distance(const char *a, const char *b);

/*
 * Could someone who wrote @text have meant @candidate? One holds the other, or
 * fewer than half of the letters differ. *@ret_distance: the smaller the likelier.
 */
bool ebb_text_like(const char *text, const char *candidate, size_t *ret_distance);

#endif /* EBB_LIB_TEXT_H */
