# shellcheck shell=bash
# shellcheck source=tests/stress.sh
. "$tests/stress.sh"

DESCRIPTION='A reading test next to a writer does not take the writes of others for damage.'

test() {
	make_stress_device
	stress_write stress_test_start "0 4 $(scaled 4000)"
	sleep 0.5
	dd if=/dev/urandom of=/dev/mapper/stress bs=1M count=32 oflag=direct status=none
	wait_for_stress 60
	expect_match "$(report_value stress_test_results Mismatches)" \
		'^[1-9][0-9]* \(N/A: somebody else wrote to the device\)$'
	expect_match "$(grep 'Data mismatches' $stress/comprehensive_report)" \
		'N/A \(somebody else wrote to the device\)$'
	[[ $(report_value stress_test_results 'Failure Reason') != *mismatches* ]] ||
		fail 'somebody else was taken for us'
	[[ $(report_value stress_test_results Seed) =~ ^[0-9]+$ ]] || fail 'no seed'
}
