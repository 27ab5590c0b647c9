//! One form for `computeResources`: what is empty is not given, and words are in AWS's letters.
//!
//! Clients send `""`, `[]` and `{}` for what they leave unset (spec clients §2, Terraform). Never here: rules.

use batchyard_model::batch::*;
use batchyard_model::validate::canonical;

/// Values of members that the model has as plain text (spec infrastructure §1.3).
pub(super) const CAPACITY_OPTION: &[&str] = &["ON_DEMAND", "SPOT", "RESERVED"];
pub(super) const MONITORING: &[&str] = &["BASIC", "DETAILED"];
pub(super) const PROPAGATE_TAGS: &[&str] = &["CAPACITY_PROVIDER", "NONE"];
pub(super) const RESERVATION: &[&str] = &["RESERVATIONS_ONLY", "RESERVATIONS_FIRST", "RESERVATIONS_EXCLUDED"];

/// Brings resources into that form.
pub(super) fn tidy(r: &mut ComputeResource) {
    unset_texts([
        &mut r.ec2_key_pair,
        &mut r.image_id,
        &mut r.instance_role,
        &mut r.placement_group,
        &mut r.spot_iam_fleet_role,
    ]);
    spell(&mut r.r#type, enums::CR_TYPE);
    spell(&mut r.allocation_strategy, enums::CR_ALLOCATION_STRATEGY);
    for list in [&mut r.instance_types, &mut r.subnets, &mut r.security_group_ids] {
        unset_if(list, Vec::is_empty);
    }
    for tags in [&mut r.tags, &mut r.capacity_tags] {
        unset_if(tags, |t| t.is_empty());
    }
    for item in r.ec2_configuration.iter_mut().flatten() {
        // Describe's own; a description that is sent back has it.
        item.batch_image_status = None;
    }
    unset_if(&mut r.ec2_configuration, Vec::is_empty);
    unset_if(&mut r.scaling_policy, |p| p.min_scale_down_delay_minutes.unwrap_or(0) == 0);
    if let Some(template) = &mut r.launch_template {
        tidy_template(template);
    }
    unset_if(&mut r.launch_template, |t| *t == LaunchTemplateSpecification::default());
    if let Some(provider) = &mut r.managed_instances_provider {
        tidy_provider(provider);
    }
}

fn tidy_template(template: &mut LaunchTemplateSpecification) {
    unset_texts([
        &mut template.launch_template_id,
        &mut template.launch_template_name,
        &mut template.version,
    ]);
    spell(&mut template.userdata_type, enums::USERDATA_TYPE);
    for one in template.overrides.iter_mut().flatten() {
        unset_texts([&mut one.launch_template_id, &mut one.launch_template_name, &mut one.version]);
        spell(&mut one.userdata_type, enums::USERDATA_TYPE);
        unset_if(&mut one.target_instance_types, Vec::is_empty);
    }
    unset_if(&mut template.overrides, Vec::is_empty);
}

fn tidy_provider(provider: &mut ManagedInstancesProvider) {
    spell(&mut provider.propagate_tags, PROPAGATE_TAGS);
    let Some(template) = &mut provider.instance_launch_template else { return };
    spell(&mut template.capacity_option_type, CAPACITY_OPTION);
    spell(&mut template.monitoring, MONITORING);
    if let Some(reservations) = &mut template.capacity_reservations {
        spell(&mut reservations.reservation_preference, RESERVATION);
    }
}

/// A word in AWS's letters; one that is none of them, as it is.
pub(super) fn spell(word: &mut Option<String>, words: &[&'static str]) {
    unset_texts([&mut *word]);
    if let Some(text) = word
        && let Some(known) = canonical(words, text)
    {
        *text = known.to_string();
    }
}

pub(super) fn unset_texts<const N: usize>(texts: [&mut Option<String>; N]) {
    for text in texts {
        unset_if(text, |t| t.is_empty());
    }
}

fn unset_if<T>(value: &mut Option<T>, unset: impl FnOnce(&T) -> bool) {
    if value.as_ref().is_some_and(unset) {
        *value = None;
    }
}
