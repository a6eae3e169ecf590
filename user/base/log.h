/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What mlprof says to people, on stderr, a line each. Every message names the object, the action
 * and, where there is one, what to do.
 */
#ifndef MLPROF_BASE_LOG_H
#define MLPROF_BASE_LOG_H

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

enum log_format {
	LOG_FORMAT_PLAIN, /* "mlprof: message", for a person at a terminal */
	LOG_FORMAT_JSON,  /* {"time":"...","level":"...","msg":"..."}, for a log collector */
};

/* Not safe to call while other threads log; the default is plain lines up to LOG_LEVEL_INFO. */
void log_setup(enum log_format format, enum log_level most);

__attribute__((format(printf, 2, 3))) void log_line(enum log_level level, const char *format, ...);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
