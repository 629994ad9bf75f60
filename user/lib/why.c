/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/why.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Kernel-internal codes that bpf(2) lets through; not in any errno.h. */
#define KERNEL_ENOTSUPP 524

int ebb_why(struct ebb_why *why, int r, const char *format, ...)
{
	va_list args;

	if (!why)
		return r;
	va_start(args, format);
	(void)vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	return r;
}

const char *ebb_strerror(int r)
{
	static _Thread_local char text[96];
	int code = r < 0 ? -r : r;

	if (code == KERNEL_ENOTSUPP)
		return "not supported by this kernel (ENOTSUPP)";
	return strerror_r(code, text, sizeof(text));
}
