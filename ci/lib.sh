# SPDX-License-Identifier: Apache-2.0
# Counting checks, for ci/test and ci/stage. Source it.
passed=0
failed=0
logs=${LAB_CI_LOGS:-build/ci}
mkdir -p "$logs"

# check NAME COMMAND...: runs it, prints one line; its output only if it fails.
check() {
	local name=$1 log=$logs/${1//[^A-Za-z0-9]/-}.log start=$SECONDS
	shift
	if "$@" >"$log" 2>&1; then
		passed=$((passed + 1))
		printf 'ok    %-52s %4ds\n' "$name" $((SECONDS - start))
	else
		failed=$((failed + 1))
		printf 'FAIL  %-52s %4ds  %s\n' "$name" $((SECONDS - start)) "$log"
		tail -n 60 "$log" | sed 's/^/      /'
	fi
}

# check_ctest NAME PRESET [ARGS...]: counts every test program on its own.
check_ctest() {
	local name=$1 preset=$2 log=$logs/ctest-$2.log start=$SECONDS counts ran bad
	shift 2
	ctest --preset "$preset" --no-tests=error "$@" >"$log" 2>&1 || true
	counts=$(sed -n 's/^.*% tests passed, \([0-9]*\) tests failed out of \([0-9]*\)$/\1 \2/p' "$log")
	read -r bad ran <<<"${counts:-1 1}"
	passed=$((passed + ran - bad))
	failed=$((failed + bad))
	printf '%-5s %-52s %4ds\n' "$([ "$bad" = 0 ] && echo ok || echo FAIL)" "$name ($ran programs)" $((SECONDS - start))
	[ "$bad" = 0 ] || tail -n 80 "$log" | sed 's/^/      /'
}

# build PRESET [ARGS...]
build() {
	cmake --preset "$1" >/dev/null && cmake --build --preset "$@"
}

# expect STATUS COMMAND...: succeeds if the command ends with exactly that status.
expect() {
	local want=$1 got=0
	shift
	"$@" || got=$?
	[ "$got" -eq "$want" ] && return 0
	echo "exit status $got, expected $want: $*"
	return 1
}

summary() {
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ]
}
