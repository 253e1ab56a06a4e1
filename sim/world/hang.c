/* SPDX-License-Identifier: Apache-2.0
 *
 * hang.c - a host that stands still and goes on, as after SIGSTOP or as a virtual machine that was
 * paused. Nothing of it runs: a fiber that should is kept here, whatever woke it, and gets its
 * turn in the same order when the host goes on. What is the kernel's goes on: its clocks, its
 * sockets, which take what arrives, and the disk.
 */
#include "sim/world/world-private.h"

static void tell(struct world_host *host, enum lab_event_id id)
{
	world_trace(host->world, host->env.host, 0, id,
		(const struct lab_field[]){ LAB_F_CSTR("host", host->env.hostname) }, 1);
}

void world_hang(struct world_host *host)
{
	lab_assert(host->settings.kind == WORLD_BACKEND && host->world->running == NULL);
	if (!host->is_up || host->hangs++ > 0)
		return;
	host->world->counters.hangs++;
	tell(host, LAB_EV_host_hung);
}

bool world_is_hung(const struct world_host *host)
{
	return host->hangs > 0;
}

void world_keep_fiber(struct world_fiber *fiber)
{
	struct world_host *host = fiber->host;

	/* If its time was up, whatever it waited for may still come before it hears of that. */
	fiber->state = FIBER_READY;
	host->kept = world_grow(host->world, host->kept, sizeof(struct world_fiber *),
		host->kept_count, &host->kept_capacity);
	host->kept[host->kept_count++] = fiber;
}

void world_go_on(struct world_host *host)
{
	uint32_t count = host->kept_count;

	if (host->hangs == 0 || --host->hangs > 0)
		return;
	tell(host, LAB_EV_host_went_on);
	host->kept_count = 0;
	for (uint32_t i = 0; i < count; i++)
		world_ready(host->kept[i]);
}

void world_forget_hangs(struct world_host *host)
{
	host->hangs = 0;
	host->kept_count = 0;
}
