/* SPDX-License-Identifier: Apache-2.0
 *
 * defects.h - unsafe alternatives of the core's policies, each behind one bit, so that the oracle
 * can be shown to catch them (DESIGN 4). None is ever on unless asked for by name.
 */
#ifndef LAB_ENV_DEFECTS_H
#define LAB_ENV_DEFECTS_H

#define LAB_DEFECTS(X) \
	X(FORWARD_BEFORE_REVERSE, "forward-before-reverse", \
		"INSERT the forward row before the reverse row (HD-1)") \
	X(OBJECT_BEFORE_ROWS, "object-before-rows", "DELETE the body before its rows (HD-1)") \
	X(CERTAIN_AFTER_UNCERTAIN, "certain-after-uncertain", \
		"treat a write timeout as failed and clean up the object (obox 3.8)") \
	X(NO_RETRY_503, "no-retry-503", "give up at the first 503 (obox 1.6)") \
	X(ACK_BEFORE_PUT, "ack-before-put", "acknowledge a delivery before its body is stored") \
	X(SESSION_CREDENTIALS, "session-credentials", \
		"keep a session's first IAM credentials to its end (PRO-01)") \
	X(FALLBACK_HIDES_UNCERTAIN, "fallback-hides-uncertain", \
		"let the fallback's failure hide the primary's write timeout (H-01)") \
	X(NO_HOSTS_CERTAIN, "no-hosts-certain", \
		"take a write that was lost on every host for certainly failed (H-02)") \
	X(SPECULATION_HANGS, "speculation-hangs", \
		"with execution_retry, hang forever once all of Cassandra was down (obox 3.7)") \
	X(UPLOAD_CLEAN_ON_FAILURE, "upload-marks-clean-on-failure", \
		"take an index for uploaded although its upload failed (obox 5.3)") \
	X(MERGE_TAKES_REMOTE, "merge-takes-remote", \
		"let what another backend uploaded take the place of the local index (obox 5.5)")

enum lab_defect {
#define X(name, text, doc) LAB_DEFECT_##name##_BIT,
	LAB_DEFECTS(X)
#undef X
	LAB_DEFECT_COUNT
};
#define LAB_DEFECT(name) (UINT32_C(1) << LAB_DEFECT_##name##_BIT)

#endif
