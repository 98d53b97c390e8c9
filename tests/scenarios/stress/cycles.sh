# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

TIMEOUT=300
DESCRIPTION="ten thousand tests (fewer on slow machines) are started and stopped without a leak of memory"
MACHINES="uml uml-debug"
LONG_MACHINES=uml-smp

test() {
	local before count
	case $DM_REMAP_MACHINE in
	uml) count=10000 ;;
	uml-debug) count=1000 ;;
	# With kmemleak and several CPUs, a start takes a tenth of a second.
	*) count=125 ;;
	esac
	make_stress_device
	run_stress 4 1 50
	before=$(report_value comprehensive_report 'Memory After')
	python3 -S - $stress "$((count / 5))" "$SEED" <<'END'
import random
import sys
import time

directory, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
draw = random.Random(seed)


def write(name, text):
    with open(f"{directory}/{name}", "w") as file:
        file.write(text)


def status():
    with open(f"{directory}/stress_test_status") as file:
        return file.read()


for _ in range(count):
    # Five tests: three that are stopped at once, one at a random moment, and one that ends by itself.
    for patience in (0, 0, 0, draw.random() * 0.004, None):
        write("stress_test_adjust", f"queue_depth={draw.randint(1, 4)}")
        write("stress_test_start", f"{draw.randrange(6)} {draw.randint(1, 3)} {draw.randint(1, 5)}")
        if patience is None:
            while status().startswith("RUNNING"):
                time.sleep(0.001)
        else:
            time.sleep(patience)
        write("stress_test_stop", "1")
        line = status()
        assert line.startswith("STOPPED ") and " errors=0 " in line, line
print(f"{5 * count} tests")
END
	expect_equal "$(message stress list)" end
	expect_equal "$(report_value comprehensive_report 'Memory After')" "$before" 'memory after'
	expect_equal "$(report_value comprehensive_report 'Memory Before')" "$before" 'memory before'
	remove_mapped stress
	unload_module
}
