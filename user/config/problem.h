/* SPDX-License-Identifier: Apache-2.0 */
/* A list of what is wrong with a configuration, errors before warnings, each in the order of the file. */
#ifndef EBB_CONFIG_PROBLEM_H
#define EBB_CONFIG_PROBLEM_H

#include "config/config.h"

/* One more; of more than EBB_PROBLEMS_MAX the first stay, by their order here. @line 0: not in the file. */
void ebb_problem(struct ebb_problems *problems, uint32_t line, uint32_t column, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Something that is accepted all the same. */
void ebb_problem_warn(struct ebb_problems *problems, uint32_t line, uint32_t column, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif /* EBB_CONFIG_PROBLEM_H */
