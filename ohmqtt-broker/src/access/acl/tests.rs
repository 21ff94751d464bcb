//! What rules allow, and what a file of them must not say.

use std::path::Path;

use ohmqtt_codec::{Qos, TopicFilter, TopicName};
use proptest::prelude::*;

use super::*;
use crate::access::User;

fn rules(text: &str) -> Rules {
    parse::rules(Path::new("acl"), text).unwrap()
}

fn allows(rules: &Rules, user: &str, client_id: &str, action: &Action<'_>) -> bool {
    let user = match user {
        "" => User::anonymous(),
        name => User::named(name),
    };
    let who = Principal {
        client_id,
        user: &user,
    };
    rules.allow(&who, action)
}

/// What `r`, `w` and `s` (subscribe) are allowed.
fn check(rules: &Rules, (user, client): (&str, &str), topic: &str, want: &str) {
    let (qos, retain) = (Qos::AtMostOnce, false);
    let actions = [
        ('r', Action::Deliver { topic }),
        ('w', Action::Publish { topic, qos, retain }),
        ('s', Action::Subscribe { filter: topic, qos }),
    ];
    let mut may = String::new();
    for (letter, action) in actions {
        if allows(rules, user, client, &action) {
            may.push(letter);
        }
    }
    assert_eq!(may, want, "{user} {client} {topic}");
    let will = Action::Will { topic, qos, retain };
    let retained = Action::Retained { topic };
    for action in [will, retained] {
        let is_allowed = allows(rules, user, client, &action);
        assert_eq!(is_allowed, want.contains('w'), "{action:?}");
    }
    assert!(allows(rules, user, client, &Action::Connect));
}

#[test]
fn each_user_has_its_rules_and_those_for_everybody() {
    let rules = rules(
        "# the first are for nobody in particular\n\
         topic read public/#\n\
         \n\
         user alice\n\
         topic read a/+\n\
         topic write b/#\n\
         topic c d\n\
         user bob smith\n\
         topic readwrite #\n\
         topic deny secret/#\n\
         pattern readwrite home/%u/#\n",
    );
    check(&rules, ("", "x"), "public/news", "rs");
    check(&rules, ("", "x"), "a/b", "");
    check(&rules, ("alice", "x"), "public/news", "");
    check(&rules, ("alice", "x"), "a/b", "rs");
    check(&rules, ("alice", "x"), "a/b/c", "");
    check(&rules, ("alice", "x"), "b", "w");
    check(&rules, ("alice", "x"), "b/c/d", "w");
    check(&rules, ("alice", "x"), "c d", "rws");
    check(&rules, ("alice", "x"), "home/alice/lamp", "rws");
    check(&rules, ("alice", "x"), "home/bob/lamp", "");
    check(&rules, ("bob smith", "x"), "home/bob smith", "rws");
    check(&rules, ("bob smith", "x"), "any/thing", "rws");
    check(&rules, ("bob smith", "x"), "secret", "");
    check(&rules, ("bob smith", "x"), "secret/too", "");
    check(&rules, ("bob smith", "x"), "$SYS/broker/uptime", "");
    check(&rules, ("carol", "x"), "public/news", "");
    check(&rules, ("carol", "x"), "home/carol/lamp", "rws");
}

#[test]
fn what_denies_goes_before_what_allows_wherever_it_stands() {
    let rules = rules(
        "user alice\ntopic a/#\npattern deny a/secret/#\npattern deny +/%c\npattern read $SYS/#",
    );
    check(&rules, ("alice", "x"), "a/b", "rws");
    check(&rules, ("alice", "x"), "a/secret", "");
    check(&rules, ("alice", "x"), "a/secret/x", "");
    check(&rules, ("alice", "b"), "a/b", "");
    check(&rules, ("alice", "x"), "$SYS/broker/uptime", "rs");
}

#[test]
fn a_filter_may_be_wider_than_what_may_be_read_but_not_beside_it() {
    let rules = rules("user alice\ntopic read a/+/c\ntopic write w/#\ntopic deny a/no/#");
    let check = |filter: &str, want| {
        let action = Action::Subscribe {
            filter,
            qos: Qos::AtMostOnce,
        };
        assert_eq!(allows(&rules, "alice", "x", &action), want, "{filter}");
    };
    for filter in [
        "#",
        "+/#",
        "a/#",
        "a/b/c",
        "a/b/c/#",
        "a/+/c",
        "+/+/+",
        "$share/g/a/#",
    ] {
        check(filter, true);
    }
    for filter in [
        "b",
        "a",
        "a/b",
        "+",
        "+/+",
        "a/b/c/+",
        "w/#",
        "a/no/c",
        "a/no/#",
        "$SYS/#",
        "$share/g/b",
    ] {
        check(filter, false);
    }
}

/// The fault of Mosquitto before 1.4.12: `#` as a client id read everything.
#[test]
fn names_with_wildcards_or_levels_widen_no_pattern() {
    let rules = rules("pattern %c/x\npattern c/%c/#\npattern u/%u\npattern p-%u-%c/#");
    check(&rules, ("alice", "dev"), "dev/x", "rws");
    check(&rules, ("alice", "dev"), "c/dev/1", "rws");
    check(&rules, ("alice", "dev"), "u/alice", "rws");
    check(&rules, ("alice", "dev"), "p-alice-dev/1/2", "rws");
    check(&rules, ("alice", "dev"), "p-alice-devx/1", "");
    for name in ["+", "#", "+/#", "a/b", "a+", "b#"] {
        for topic in [
            "dev/x", "+/x", "c/dev", "c/#", "c/a/b", "c/+", "u/alice", "u/#", "u/+", "p-+-dev",
            "#", "+/#", "c/+/#",
        ] {
            check(&rules, (name, name), topic, "");
        }
        check(&rules, ("alice", name), "c/+/#", "");
        check(&rules, ("alice", name), "#", "s"); // its own u/alice
    }
    check(&rules, ("", "dev"), "u/", "");
    check(&rules, ("alice", "$SYS"), "$SYS/x", "");
}

#[test]
fn a_rule_that_is_none_is_named_with_its_line() {
    let check = |line: &str, want: &str| {
        let text = format!("user alice\n\n{line}\n");
        let error = parse::rules(Path::new("acl.txt"), &text).unwrap_err();
        assert_eq!(error.to_string(), format!("acl.txt:3: {want}"));
    };
    check("user", "no name behind 'user'");
    check(
        "alice:$7$101$c2FsdA==$aGFzaA==",
        "this is not a rule: one begins with user, topic or pattern",
    );
    check(
        "topics a",
        "'topics' is not a rule: one begins with user, topic or pattern",
    );
    check(
        "pattern $share/g/a",
        "'$share/g/a': rules are about topics, not about groups that share them",
    );
    for line in ["topic", "topic read", "topic a/#/b", "pattern write a+"] {
        let error = parse::rules(Path::new("acl.txt"), line).unwrap_err();
        assert!(error.to_string().starts_with("acl.txt:1: '"), "{error}");
    }
}

fn levels(level: &'static str) -> impl Strategy<Value = String> {
    proptest::collection::vec(level, 1..5).prop_map(|levels| levels.join("/"))
}

fn filters() -> impl Strategy<Value = String> {
    (levels("[ab$]?|\\+"), any::<bool>())
        .prop_map(|(text, all)| if all { text + "/#" } else { text })
        .prop_filter("empty", |text| TopicFilter::new(text).is_ok())
}

proptest! {
    #[test]
    fn a_pattern_without_names_is_a_filter(pattern in filters(), topic in levels("[ab$]?"), filter in filters()) {
        let who = Principal { client_id: "a", user: &User::anonymous() };
        let ours = Pattern::new(&pattern, true);
        if let Ok(name) = TopicName::new(&topic) {
            let theirs = TopicFilter::new(&pattern).unwrap().matches(&name);
            prop_assert_eq!(ours.matches(&who, &topic), theirs);
            let both = theirs && TopicFilter::new(&filter).unwrap().matches(&name);
            prop_assert!(!both || ours.overlaps(&who, &filter), "{pattern} {filter} {topic}");
            let only = !theirs && TopicFilter::new(&filter).unwrap().matches(&name);
            prop_assert!(!only || !ours.covers(&who, &filter), "{pattern} {filter} {topic}");
        }
    }
}
