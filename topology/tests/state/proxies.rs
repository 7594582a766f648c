//! Proxies: incarnations that are never used again, leases by the log's time, heartbeats in batches.

use podway_model::{FreezeId, HybridTime, Revision, ShardId};
use podway_topology_api::{
    Beat, ClientId, Command, Done, Incarnation, Lease, LogTime, ProxyCommand, ShardCommand,
};

use crate::script::{Script, beat, beats, found, register};

fn deregister(number: u32) -> Command {
    Command::Proxy(ProxyCommand::Deregister { incarnation: Incarnation(number) })
}

fn shut_out(number: u32) -> Command {
    Command::Proxy(ProxyCommand::ShutOut { incarnation: Incarnation(number) })
}

/// Heartbeats of these every second, until the leases of all others have ended.
fn outlast(script: &mut Script, live: &[Incarnation]) {
    for _ in 0..11 {
        script.at += 999;
        script.ok(beats(live.iter().map(|incarnation| beat(*incarnation)).collect()));
    }
}

fn leases(script: &Script) -> Vec<(u32, Lease)> {
    script.view().proxies.iter().map(|proxy| (proxy.incarnation.0, proxy.lease)).collect()
}

#[test]
fn nobody_registers_before_the_cluster_has_its_secret() {
    let mut script = Script::empty();
    assert_eq!(script.refusal(register("p")), "the cluster was not founded yet");
    script.ok(found());
    script.ok(register("p"));
    assert_eq!(script.ok(found()), Done::Unchanged);
    let other = Command::Found { secret: podway_model::ClusterSecret::new(b"another") };
    assert_eq!(script.refusal(other), "the cluster was founded already");
}

#[test]
fn a_retry_is_the_same_incarnation_and_a_registration_another() {
    let mut script = Script::with_servers();
    let first = script.propose(ClientId(9), 1, register("p")).answer;
    assert_eq!(script.propose(ClientId(9), 1, register("p")).answer, first);
    assert_eq!(first, Ok(Done::Registered { incarnation: Incarnation(1), lease_ms: 10_000 }));
    assert_eq!(script.register("p"), Incarnation(2));
    script.ok(deregister(2));
    assert_eq!(script.register("p"), Incarnation(3));
}

#[test]
fn heartbeats_keep_a_lease_and_only_rise() {
    let mut script = Script::with_servers();
    let proxy = script.register("p");
    let report = |applied, settled, clock| Beat {
        incarnation: proxy,
        applied: Revision(applied),
        settled: Revision(settled),
        clock: HybridTime(clock),
        clocks: Default::default(),
        drained: Vec::new(),
    };
    script.ok(beats(vec![report(5, 4, 100)]));
    script.ok(beats(vec![report(4, 3, 90), report(6, 2, 80)]));
    let view = script.view().proxies.remove(0);
    assert_eq!((view.applied, view.settled, view.clock), (Revision(6), Revision(4), HybridTime(100)));
    assert_eq!(view.lease, Lease::Until(LogTime(script.at + 10_000)));
    assert_eq!(view.heard, LogTime(script.at));
}

#[test]
fn the_lease_of_a_silent_proxy_ends_and_never_comes_back() {
    let mut script = Script::with_servers();
    let silent = script.register("silent");
    let live = script.register("live");
    script.ok(beats(vec![beat(silent), beat(live)]));
    outlast(&mut script, &[live]);
    assert_eq!(leases(&script)[0], (1, Lease::Ended));
    assert!(matches!(leases(&script)[1], (2, Lease::Until(_))));
    let done = script.ok(beats(vec![beat(silent), beat(live), beat(Incarnation(77))]));
    assert_eq!(done, Done::Beats { refused: vec![silent, Incarnation(77)], expired: vec![] });
    assert_eq!(script.refusal(deregister(1)), "proxy incarnation 1 has no lease; register again");
    assert_eq!(script.refusal(shut_out(2)), "proxy incarnation 2 has a lease; it cannot be called shut out");
    script.ok(shut_out(1));
    assert_eq!(script.ok(shut_out(1)), Done::Unchanged);
    assert_eq!(leases(&script)[0], (1, Lease::ShutOut));
    assert_eq!(script.refusal(shut_out(77)), "there is no proxy 77");
}

#[test]
fn leases_end_by_the_beat_that_finds_them_over() {
    let mut script = Script::with_servers();
    let proxy = script.register("p");
    script.ok(beats(vec![beat(proxy)]));
    for _ in 0..5 {
        script.at += 1_900;
        let done = script.ok(beats(vec![]));
        assert_eq!(done, Done::Beats { refused: vec![], expired: vec![] });
    }
    script.at += 1_900;
    assert_eq!(script.ok(beats(vec![])), Done::Beats { refused: vec![], expired: vec![proxy] });
    script.at += 1_900;
    assert_eq!(script.ok(beats(vec![])), Done::Beats { refused: vec![], expired: vec![] });
}

#[test]
fn time_in_which_no_leader_listened_is_not_held_against_a_lease() {
    let mut script = Script::with_servers();
    let proxy = script.register("p");
    script.ok(beats(vec![beat(proxy)]));
    script.at += 3_600_000;
    assert_eq!(script.ok(beats(vec![])), Done::Beats { refused: vec![], expired: vec![] });
    outlast(&mut script, &[]);
    assert_eq!(leases(&script), [(1, Lease::Ended)]);
}

#[test]
fn a_leader_whose_clock_is_behind_turns_no_time_back() {
    let mut script = Script::with_servers();
    let proxy = script.register("p");
    script.ok(beats(vec![beat(proxy)]));
    let before = script.state.time();
    script.at -= 900;
    script.ok(beats(vec![beat(proxy)]));
    assert_eq!(script.state.time(), before);
    assert_eq!(script.view().proxies[0].heard, before);
}

#[test]
fn only_lasting_freezes_are_acknowledged() {
    let mut script = Script::with_shop();
    let proxy = script.register("p");
    script.ok(Command::Shard(ShardCommand::Freeze { shard: ShardId(1) }));
    let drained = |freezes: &[u64]| Beat {
        drained: freezes.iter().map(|number| FreezeId(*number)).collect(),
        ..beat(proxy)
    };
    script.ok(beats(vec![drained(&[1, 2, 99])]));
    assert_eq!(script.view().proxies[0].drained, [FreezeId(1)]);
    script.ok(beats(vec![drained(&[])]));
    assert_eq!(script.view().proxies[0].drained, [FreezeId(1)], "what is drained stays so under its freeze");
    script.ok(Command::Shard(ShardCommand::Unfreeze { freeze: FreezeId(1) }));
    script.ok(beats(vec![drained(&[1])]));
    assert_eq!(script.view().proxies[0].drained, []);
}

#[test]
fn the_shut_out_are_remembered_up_to_a_bound() {
    let mut script = Script::with_servers();
    for _ in 0..105 {
        script.register("p");
    }
    outlast(&mut script, &[]);
    for number in 1..=105 {
        script.ok(shut_out(number));
    }
    assert_eq!(script.view().proxies.len(), 100);
    assert_eq!(script.ok(shut_out(1)), Done::Unchanged, "one that is forgotten was shut out");
}

#[test]
fn heartbeats_tell_watchers_nothing_and_need_no_sequence() {
    let mut script = Script::with_servers();
    let proxy = script.register("p");
    let lines = script.view().log.len();
    for _ in 0..3 {
        let applied = script.propose(ClientId(5), 1, beats(vec![beat(proxy)]));
        assert_eq!((applied.changes, applied.answer.is_ok()), (vec![], true));
        assert_eq!(script.view().proxies[0].heard, LogTime(script.at), "each is taken");
    }
    assert_eq!(script.view().log.len(), lines);
}
