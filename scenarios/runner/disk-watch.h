/* SPDX-License-Identifier: Apache-2.0
 *
 * disk-watch.h - what backends have on their disks, looked up by a walk that shares nothing with
 * the metacache's own accounting, and told as events (disk_measured) for the oracle (26).
 */
#ifndef SCENARIOS_DISK_WATCH_H
#define SCENARIOS_DISK_WATCH_H

#include "scenarios/runner/node.h"

struct disk_usage {
	uint64_t metacache_bytes; /* obox.root and obox.index.log, wherever they are */
	uint64_t counted_bytes;   /* as the backend counts them */
	uint64_t fscache_bytes, fscache_files;
};

/* Size and directory of the fscache of obox_fs; false: it has none, or one for each user. */
bool disk_watch_fscache(
	const struct conf_settings *conf, uint64_t *ret_bytes, struct lab_view *ret_directory);

/* In a fiber of the backend's host; never blocks in the simulated world. */
void disk_measure(
	struct backend *backend, const struct conf_settings *conf, struct disk_usage *ret);
/* `reason`: "watch", "rescan" or "end". */
void disk_report(
	struct env *lab, const char *host, const char *reason, const struct disk_usage *usage);

/* Measures each backend that is up once every so often, and a last time half a minute after the
 * end: in a fiber of the laboratory's host, counted in *busy. */
struct disk_watch_settings {
	struct env *lab;
	struct node *nodes;
	size_t node_count;
	const struct conf_settings *conf;
	uint64_t interval_ns, end_ns;
	size_t *busy;
};
int disk_watch_start(const struct disk_watch_settings *settings, struct lab_error *err);

#endif
