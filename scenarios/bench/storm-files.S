/* SPDX-License-Identifier: Apache-2.0
 *
 * storm-files.S - the standard storm and the settings that it includes, as they were when the bench
 * was built.
 */
	.macro file name, path
	.global \name
	.global \name\()_end
\name:
	.incbin "\path"
\name\()_end:
	.byte 0
	.endm

	.section .rodata
	file storm_scn, "scenarios/001-standard-storm.scn"
	file storm_conf, "scenarios/configs/aws-s3-dictmap.conf"
	file storm_dict, "scenarios/configs/dovecot-dict-cql.conf.ext"

	.section .note.GNU-stack, "", %progbits
