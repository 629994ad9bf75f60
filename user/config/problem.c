/* SPDX-License-Identifier: Apache-2.0 */
#include "config/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool before(const struct ebb_problem *a, const struct ebb_problem *b)
{
	if (a->warning != b->warning)
		return !a->warning;
	if (a->line != b->line)
		return a->line < b->line;
	return a->column < b->column;
}

static void insert(struct ebb_problems *problems, const struct ebb_problem *problem)
{
	size_t at = problems->count;

	while (at > 0 && before(problem, &problems->list[at - 1]))
		at--;
	/* one flag may stand for two keys: it is wrong once */
	for (size_t i = at; i > 0 && !before(&problems->list[i - 1], problem); i--) {
		if (strcmp(problems->list[i - 1].text, problem->text) == 0)
			return;
	}
	if (problems->count == EBB_PROBLEMS_MAX) {
		problems->more++;
		if (at == EBB_PROBLEMS_MAX)
			return;
		problems->count--;
	}
	memmove(&problems->list[at + 1], &problems->list[at],
		(problems->count - at) * sizeof(problems->list[0]));
	problems->list[at] = *problem;
	problems->count++;
}

static void add(struct ebb_problems *problems, uint32_t line, uint32_t column, bool warning,
		const char *format, va_list args) __attribute__((format(printf, 5, 0)));

static void add(struct ebb_problems *problems, uint32_t line, uint32_t column, bool warning,
		const char *format, va_list args)
{
	struct ebb_problem problem = {.line = line, .column = column, .warning = warning};

	(void)vsnprintf(problem.text, sizeof(problem.text), format, args);
	insert(problems, &problem);
}

void ebb_problem(struct ebb_problems *problems, uint32_t line, uint32_t column, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(problems, line, column, false, format, args);
	va_end(args);
}

void ebb_problem_warn(struct ebb_problems *problems, uint32_t line, uint32_t column, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(problems, line, column, true, format, args);
	va_end(args);
}

const char *ebb_problem_format(const struct ebb_problem *problem, const char *path, char *buffer, size_t size)
{
	if (problem->line == 0)
		(void)snprintf(buffer, size, "%s", problem->text);
	else
		(void)snprintf(buffer, size, "%s:%u:%u: %s", path, problem->line, problem->column,
			       problem->text);
	return buffer;
}

size_t ebb_problems_errors(const struct ebb_problems *problems)
{
	size_t errors = 0;

	while (errors < problems->count && !problems->list[errors].warning)
		errors++;
	return errors;
}
