package consumer

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"faultd/statemachine"
)

// notificationDir holds a file for each notification: in made what has the shape of the others and no sample
// upstream.
const notificationDir = "../testdata/notifications"

// sampleMeanings says what each of the sample notifications is: the reason why it is no event, or the kind, action,
// phase and id of its resource, and whatever else counts.
var sampleMeanings = []struct{ file, means string }{
	{"cinder/DERIVED_backup.create.end.json", "backup backup succeeded 707844eb-6d8a-4ac1-8b98-618e1c0b3a3a tenant=6f70656e737461636b20342065766572 job="},
	{"cinder/DERIVED_backup.create.start.json", "backup backup started 707844eb-6d8a-4ac1-8b98-618e1c0b3a3a tenant=6f70656e737461636b20342065766572 job="},
	{"cinder/DERIVED_backup.createprogress.json", "backup backup progressed 707844eb-6d8a-4ac1-8b98-618e1c0b3a3a tenant=6f70656e737461636b20342065766572 job= progress=42"},
	{"cinder/DERIVED_backup.delete.end.json", "backup delete succeeded 707844eb-6d8a-4ac1-8b98-618e1c0b3a3a tenant=6f70656e737461636b20342065766572 job="},
	{"cinder/DERIVED_backup.delete.start.json", "backup delete started 707844eb-6d8a-4ac1-8b98-618e1c0b3a3a tenant=6f70656e737461636b20342065766572 job="},
	{"cinder/DERIVED_backup.restore.end.json", "restore restore succeeded 707844eb-6d8a-4ac1-8b98-618e1c0b3a3a tenant=6f70656e737461636b20342065766572 job="},
	{"cinder/DERIVED_backup.restore.start.json", "restore restore started 707844eb-6d8a-4ac1-8b98-618e1c0b3a3a tenant=6f70656e737461636b20342065766572 job="},
	{"cinder/DERIVED_scheduler.create_volume.error.json", "not_a_job"},
	{"cinder/notification_volume_delete.json", "not_a_job"},
	{"cinder/notification_volume_exists.json", "not_a_job"},
	{"cinder/notification_volume_resize.json", "not_a_job"},
	{"envelopes/DERIVED_oslo-v2-envelope_instance.create.error.json", "server build progressed 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:build fault=500 Flavor disk too small"},
	{"glance/DERIVED_image.activate.json", "image build succeeded cccccccc-cccc-cccc-cccc-cccccccccccc tenant=fake job="},
	{"glance/DERIVED_image.create.json", "image build accepted cccccccc-cccc-cccc-cccc-cccccccccccc tenant=fake job="},
	{"glance/DERIVED_image.delete.json", "image delete succeeded cccccccc-cccc-cccc-cccc-cccccccccccc tenant=fake job="},
	{"glance/DERIVED_image.prepare.json", "image build started cccccccc-cccc-cccc-cccc-cccccccccccc tenant=fake job="},
	{"glance/DERIVED_image.upload.ERROR.json", "image build failed cccccccc-cccc-cccc-cccc-cccccccccccc tenant= job= fault=500 The upload of the image failed"},
	{"glance/DERIVED_image.upload.json", "image build progressed cccccccc-cccc-cccc-cccc-cccccccccccc tenant=fake job="},
	{"glance/notification_delete.json", "image delete succeeded cccccccc-cccc-cccc-cccccccccccc tenant=fake job="},
	{"glance/notification_send.json", "not_a_job"},
	{"glance/notification_update.json", "image build progressed cccccccc-cccc-cccc-cccccccccccc tenant=fake job="},
	{"glance/notification_upload.json", "image build progressed cccccccc-cccc-cccc-cccccccccccc tenant=fake job="},
	{"made/backup.create.end_error.json", "backup backup failed 707844eb-6d8a-4ac1-8b98-618e1c0b3a3a tenant=6f70656e737461636b20342065766572 job=req-11111111-1111-4111-8111-111111111111:backup fault=500 The backup failed"},
	{"made/backup.reset_status.end_available.json", "backup backup succeeded 707844eb-6d8a-4ac1-8b98-618e1c0b3a3a tenant=6f70656e737461636b20342065766572 job="},
	{"made/backup.reset_status.end_error.json", "backup backup failed 707844eb-6d8a-4ac1-8b98-618e1c0b3a3a tenant=6f70656e737461636b20342065766572 job= fault=500 The backup failed"},
	{"made/backup.reset_status.start.json", "not_a_job"},
	{"made/backup.restore.end.json", "restore restore succeeded req-22222222-2222-4222-8222-222222222222 tenant=6f70656e737461636b20342065766572 job=req-22222222-2222-4222-8222-222222222222:restore"},
	{"made/backup.restore.start.json", "restore restore started req-22222222-2222-4222-8222-222222222222 tenant=6f70656e737461636b20342065766572 job=req-22222222-2222-4222-8222-222222222222:restore"},
	{"made/compute_task-migrate_server-error_live.json", "server migrate cancelled d5e6a7b7-80e5-4166-85a3-cd6115201082 tenant=6f70656e737461636b20342065766572 job= fault=500 No valid host"},
	{"made/compute_task-rebuild_server-error.json", "server rebuild failed d5e6a7b7-80e5-4166-85a3-cd6115201082 tenant=6f70656e737461636b20342065766572 job= fault=500 No valid host"},
	{"made/image.update_active.json", "not_a_job"},
	{"made/image.update_killed.json", "image build failed cccccccc-cccc-cccc-cccccccccccc tenant=fake job= fault=500 The upload of the image failed"},
	{"made/image.upload.ERROR_no_id.json", "unknown_resource"},
	{"made/instance-live_migration_post_dest-end.json", "server migrate succeeded 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:migrate"},
	{"made/instance-live_migration_pre-start.json", "server migrate started 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:migrate"},
	{"made/instance-live_migration_rollback-end.json", "server migrate cancelled 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:migrate"},
	{"made/instance-rebuild-error.json", "server rebuild failed 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:rebuild fault=500 Image unacceptable"},
	{"made/instance-resize-error.json", "server resize cancelled 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:resize fault=500 Compute resources unavailable"},
	{"made/instance-resize-error_state.json", "server resize failed 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:resize fault=500 Libvirt error"},
	{"made/instance-restore-end.json", "server restore succeeded 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:restore"},
	{"made/instance-restore-start.json", "server restore started 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:restore"},
	{"made/instance-shutdown-end.json", "not_a_job"},
	{"made/instance-shutdown-start.json", "not_a_job"},
	{"made/instance-soft_delete-end.json", "server soft-delete succeeded 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:soft-delete"},
	{"made/instance-soft_delete-start.json", "server soft-delete started 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:soft-delete"},
	{"made/instance-update-error.json", "server build progressed 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:build fault=500 The server went into state error"},
	{"made/instance-update-password.json", "server password succeeded 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:password"},
	{"made/instance-update-rename.json", "not_a_job"},
	{"made/instance-update-reset_state.json", "not_a_job"},
	{"made/instance-update-resize_migrating.json", "server resize progressed 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:resize progress=35"},
	{"made/legacy_compute.instance.create.error.json", "server build progressed a9811ecc-f6e9-4dfe-b78b-a7437c9d3c1b tenant=bb5c2277f9d04c16ab19cd70766aeba1 job=req-c2746c96-ebf7-4528-b02f-9d4367aee6f6:build fault=500 Rescheduled exception"},
	{"made/legacy_compute.instance.create.start.json", "server build started a9811ecc-f6e9-4dfe-b78b-a7437c9d3c1b tenant=bb5c2277f9d04c16ab19cd70766aeba1 job=req-c2746c96-ebf7-4528-b02f-9d4367aee6f6:build"},
	{"made/legacy_compute.instance.resize.confirm.end.json", "server confirm-resize succeeded a9811ecc-f6e9-4dfe-b78b-a7437c9d3c1b tenant=bb5c2277f9d04c16ab19cd70766aeba1 job=req-c2746c96-ebf7-4528-b02f-9d4367aee6f6:confirm-resize"},
	{"made/legacy_compute.instance.resize.error.json", "server resize cancelled a9811ecc-f6e9-4dfe-b78b-a7437c9d3c1b tenant=bb5c2277f9d04c16ab19cd70766aeba1 job=req-c2746c96-ebf7-4528-b02f-9d4367aee6f6:resize fault=413 The resize of the server failed"},
	{"made/legacy_compute.instance.resize.prep.start.json", "server resize started a9811ecc-f6e9-4dfe-b78b-a7437c9d3c1b tenant=bb5c2277f9d04c16ab19cd70766aeba1 job=req-c2746c96-ebf7-4528-b02f-9d4367aee6f6:resize"},
	{"made/legacy_compute.instance.snapshot.start.json", "not_a_job"},
	{"made/legacy_compute.instance.update.json", "server build progressed a9811ecc-f6e9-4dfe-b78b-a7437c9d3c1b tenant=bb5c2277f9d04c16ab19cd70766aeba1 job=req-c2746c96-ebf7-4528-b02f-9d4367aee6f6:build progress=40"},
	{"made/legacy_compute.instance.update_error.json", "server build progressed a9811ecc-f6e9-4dfe-b78b-a7437c9d3c1b tenant=bb5c2277f9d04c16ab19cd70766aeba1 job=req-c2746c96-ebf7-4528-b02f-9d4367aee6f6:build fault=500 The server went into state error"},
	{"made/legacy_compute_task.build_instances.json", "server build failed 9206baae-c3b6-41bc-96f2-2c0726ff51c8 tenant=2bd766a095b44486bf07cf7f666997eb job=req-f28a836a-32bf-4cc3-940a-3515878c181f:build fault=500 No valid host"},
	{"made/legacy_scheduler.run_instance.json", "server build failed 9206baae-c3b6-41bc-96f2-2c0726ff51c8 tenant=2bd766a095b44486bf07cf7f666997eb job=req-f28a836a-32bf-4cc3-940a-3515878c181f:build fault=500 No valid host"},
	{"nova-legacy/instance_create_end.json", "server build succeeded 9f9d01b9-4a58-4271-9e27-398b21ab20d1 tenant=7c150a59fe714e6f9263774af9688f0e job=req-d68b36e0-9233-467f-9afb-d81435d64d66:build"},
	{"nova-legacy/instance_delete_start.json", "server delete started 9f9d01b9-4a58-4271-9e27-398b21ab20d1 tenant=7c150a59fe714e6f9263774af9688f0e job=req-fb3c4546-a2e5-49b7-9fd2-a63bd658bc39:delete"},
	{"nova-legacy/instance_exists.json", "not_a_job"},
	{"nova-legacy/instance_exists_metadata_list.json", "not_a_job"},
	{"nova-legacy/instance_finish_resize_end.json", "server resize succeeded 648e8963-6886-4c3c-98f9-4511c292f86b tenant=cea4b25edb484e5392727181b7721d29 job=req-e3f71bb9-e9b9-418b-a9db-a5950c851b25:resize"},
	{"nova-legacy/instance_resize_revert_end.json", "server revert-resize succeeded 648e8963-6886-4c3c-98f9-4511c292f86b tenant=cea4b25edb484e5392727181b7721d29 job=req-9da1d714-dabe-42fd-8baa-583e57cd4f1a:revert-resize"},
	{"nova-legacy/instance_scheduled.json", "not_a_job"},
	{"nova-legacy/manageiq_compute_instance_create_end.json", "server build succeeded a9811ecc-f6e9-4dfe-b78b-a7437c9d3c1b tenant=bb5c2277f9d04c16ab19cd70766aeba1 job=req-c2746c96-ebf7-4528-b02f-9d4367aee6f6:build"},
	{"nova-versioned/compute-exception.json", "not_a_job"},
	{"nova-versioned/compute_task-build_instances-error.json", "server build failed d5e6a7b7-80e5-4166-85a3-cd6115201082 tenant=6f70656e737461636b20342065766572 job= fault=500 No valid host"},
	{"nova-versioned/compute_task-migrate_server-error.json", "server resize cancelled d5e6a7b7-80e5-4166-85a3-cd6115201082 tenant=6f70656e737461636b20342065766572 job= fault=500 No valid host"},
	{"nova-versioned/instance-create-end.json", "server build succeeded 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:build"},
	{"nova-versioned/instance-create-error.json", "server build progressed 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:build fault=500 Flavor disk too small"},
	{"nova-versioned/instance-create-start.json", "server build started 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:build"},
	{"nova-versioned/instance-delete-end.json", "server delete succeeded 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:delete"},
	{"nova-versioned/instance-delete-end_compute_down.json", "server delete succeeded 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:delete"},
	{"nova-versioned/instance-delete-end_not_scheduled.json", "server delete succeeded 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:delete"},
	{"nova-versioned/instance-delete-start.json", "server delete started 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:delete"},
	{"nova-versioned/instance-delete-start_compute_down.json", "server delete started 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:delete"},
	{"nova-versioned/instance-delete-start_not_scheduled.json", "server delete started 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:delete"},
	{"nova-versioned/instance-evacuate.json", "server rebuild accepted 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:rebuild"},
	{"nova-versioned/instance-exists.json", "not_a_job"},
	{"nova-versioned/instance-interface_attach-error.json", "not_a_job"},
	{"nova-versioned/instance-power_off-end.json", "server stop succeeded 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:stop"},
	{"nova-versioned/instance-power_off-start.json", "server stop started 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:stop"},
	{"nova-versioned/instance-power_on-end.json", "server start succeeded 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:start"},
	{"nova-versioned/instance-power_on-start.json", "server start started 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:start"},
	{"nova-versioned/instance-power_on_share-end.json", "server start succeeded 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:start"},
	{"nova-versioned/instance-power_on_share-start.json", "server start started 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:start"},
	{"nova-versioned/instance-reboot-end.json", "server reboot succeeded 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:reboot"},
	{"nova-versioned/instance-reboot-error.json", "server reboot cancelled 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:reboot fault=500 Unsupported virt type"},
	{"nova-versioned/instance-reboot-start.json", "server reboot started 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:reboot"},
	{"nova-versioned/instance-rebuild-end.json", "server rebuild succeeded 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:rebuild"},
	{"nova-versioned/instance-rebuild-start.json", "server rebuild started 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:rebuild"},
	{"nova-versioned/instance-rebuild_scheduled.json", "server rebuild accepted 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:rebuild"},
	{"nova-versioned/instance-resize-end.json", "server resize progressed 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:resize"},
	{"nova-versioned/instance-resize-start.json", "server resize started 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:resize"},
	{"nova-versioned/instance-resize_confirm-end.json", "server confirm-resize succeeded 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:confirm-resize"},
	{"nova-versioned/instance-resize_confirm-start.json", "server confirm-resize started 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:confirm-resize"},
	{"nova-versioned/instance-resize_finish-end.json", "server resize succeeded 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:resize"},
	{"nova-versioned/instance-resize_finish-start.json", "server resize progressed 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:resize"},
	{"nova-versioned/instance-resize_prep-end.json", "server resize progressed 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:resize"},
	{"nova-versioned/instance-resize_prep-start.json", "server resize started 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:resize"},
	{"nova-versioned/instance-resize_revert-end.json", "server revert-resize succeeded 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:revert-resize"},
	{"nova-versioned/instance-resize_revert-start.json", "server revert-resize started 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:revert-resize"},
	{"nova-versioned/instance-share_attach-error.json", "not_a_job"},
	{"nova-versioned/instance-share_detach-error.json", "not_a_job"},
	{"nova-versioned/instance-snapshot-end.json", "image snapshot succeeded d2aae36f-785c-4518-8016-bc9534d9fc7f tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:snapshot"},
	{"nova-versioned/instance-snapshot-start.json", "image snapshot started d2aae36f-785c-4518-8016-bc9534d9fc7f tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:snapshot"},
	{"nova-versioned/instance-update-tags-action.json", "not_a_job"},
	{"nova-versioned/instance-update.json", "server build progressed 178b0921-8f85-4257-88b6-2e743b5a975c tenant=6f70656e737461636b20342065766572 job=req-5b6c791d-5709-4f36-8fbe-c3e02869e35d:build"},
	{"nova-versioned/instance-volume_attach-error.json", "not_a_job"},
	{"nova-versioned/instance-volume_swap-error.json", "not_a_job"},
	{"nova-versioned/libvirt-connect-error.json", "not_a_job"},
	{"nova-versioned/metrics-update.json", "not_a_job"},
	{"nova-versioned/service-create.json", "not_a_job"},
	{"nova-versioned/service-delete.json", "not_a_job"},
	{"nova-versioned/service-update.json", "not_a_job"},
}

func TestDecode_SampleNotifications(t *testing.T) {
	for _, c := range sampleMeanings {
		e := Decode(Message{Subject: "openstack.sample", Data: readSample(t, c.file), Sequence: 7, StreamTime: 1 << 60})
		if got := meaning(&e); got != c.means {
			t.Errorf("%s:\n got %s %s\nwant %s", c.file, got, e.Detail, c.means)
		}
		if e.Sequence != 7 || e.StreamTime != 1<<60 || e.Subject != "openstack.sample" || len(e.Raw) == 0 {
			t.Errorf("%s: the entry lacks its place or its bytes", c.file)
		}
	}
}

func TestDecode_SampleNotificationsAreAllListed(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(notificationDir, "*", "*.json"))
	if err != nil || len(files) != len(sampleMeanings) {
		t.Fatalf("%d files, %d of them listed (%v)", len(files), len(sampleMeanings), err)
	}
}

// meaning puts what counts of an entry into a line.
func meaning(e *statemachine.Entry) string {
	if e.Reason != 0 {
		return e.Reason.String()
	}
	s := fmt.Sprintf("%s %s %s %s tenant=%s job=%s", e.Kind, e.Action, e.Phase, e.Key.ID, e.Tenant, e.Job)
	if e.Progress >= 0 {
		s += fmt.Sprintf(" progress=%d", e.Progress)
	}
	if f := e.Fault; f != nil {
		s += fmt.Sprintf(" fault=%d %s", f.Code, f.Message)
	}
	return s
}

func readSample(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(notificationDir, file))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
