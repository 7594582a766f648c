//! Who is let in: tokens and certificates of clients, certificates of nodes.

use std::time::Duration;

use podway_topology::{
    ClientListenerTls, InitialMember, NodeConfig, PeerListener, PeerTls, Start, TopologyNode,
};
use podway_topology_api::{
    Beat, ClientConfig, ClientId, ClientTls, Identity, MemberChange, NodeId, Pem, Proposal, ProposeError,
    ProxyInfo, Right, StoreError, Token, TopologyClient, TopologyStore,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::cluster::{PATIENCE, Place, Writer, refusal, setting, setting_at, voters};

/// An authority that signs certificates for `localhost` and 127.0.0.1.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> Pem {
        Pem::new(self.0.pem())
    }

    fn identity(&self) -> Identity {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.0).unwrap();
        Identity { certificate: Pem::new(certificate.pem()), key: Pem::new(key.serialize_pem()) }
    }
}

fn client(node: &TopologyNode, tls: Option<ClientTls>, token: Option<Token>) -> TopologyClient {
    let addresses = vec![node.client_address().to_owned()];
    let deadline = Duration::from_secs(3);
    TopologyClient::new(ClientConfig { tls, token, deadline, ..ClientConfig::plain(addresses) }).unwrap()
}

fn tls(ca: &Authority, identity: Option<Identity>) -> Option<ClientTls> {
    Some(ClientTls { ca: ca.pem(), identity, server_name: None })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_lets_in_and_a_wrong_one_does_not() {
    let token = Token::random();
    let mut config = NodeConfig::embedded(None);
    config.clients.tokens = vec![(Token::random(), Right::Read), (token.clone(), Right::Admin)];
    let node = TopologyNode::start(config).await.unwrap();
    node.wait_until_ready(PATIENCE).await.unwrap();
    client(&node, None, Some(token)).read(true).await.unwrap();
    for wrong in [None, Some(Token::random())] {
        let client = client(&node, None, wrong);
        assert!(matches!(client.read(false).await, Err(StoreError::NotLetIn(_))));
        assert!(matches!(client.members().await, Err(StoreError::NotLetIn(_))));
        assert!(
            client
                .watch(podway_model::Revision(0))
                .await
                .is_err_and(|error| { matches!(error, StoreError::NotLetIn(_)) })
        );
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_both_sides_are_checked() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let mut config = NodeConfig::embedded(None);
    config.clients.tls = Some(ClientListenerTls {
        identity: ours.identity(),
        client_ca: Some(ours.pem()),
        rights: Vec::new(),
    });
    let token = Token::random();
    config.clients.tokens = vec![(token.clone(), Right::Admin)];
    let node = TopologyNode::start(config).await.unwrap();
    node.wait_until_ready(PATIENCE).await.unwrap();
    client(&node, tls(&ours, Some(ours.identity())), None).read(true).await.unwrap();
    client(&node, tls(&ours, None), Some(token.clone())).read(true).await.unwrap();
    let none = client(&node, tls(&ours, None), None).read(false).await;
    assert!(matches!(none, Err(StoreError::NotLetIn(_))), "{none:?}");
    let forged = client(&node, tls(&ours, Some(theirs.identity())), Some(token.clone())).read(false).await;
    assert!(matches!(forged, Err(StoreError::Away { .. })), "{forged:?}");
    let impostor = client(&node, tls(&theirs, None), Some(token.clone())).read(false).await;
    assert!(
        matches!(impostor, Err(StoreError::Away { .. })),
        "the client does not trust the node: {impostor:?}"
    );
    let plain = client(&node, None, Some(token)).read(false).await;
    assert!(matches!(plain, Err(StoreError::Away { .. })), "{plain:?}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_nodes_with_the_nodes_certificates_join() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let place = |id| Place::new(id);
    let secured = |place: &Place, start, authority: &Authority| {
        let mut config = place.config(start, &podway_topology::Tuning::default());
        let tls = PeerTls { identity: authority.identity(), ca: authority.pem(), server_name: None };
        config.peers = Some(PeerListener { listen: place.peer, advertise: None, tls: Some(tls) });
        config
    };
    let places = [place(1), place(2), place(3), place(4)];
    let first = TopologyNode::start(secured(&places[0], Start::Alone, &ours)).await.unwrap();
    first.wait_until_ready(PATIENCE).await.unwrap();
    let second = TopologyNode::start(secured(&places[1], Start::Join, &ours)).await.unwrap();
    let forger = TopologyNode::start(secured(&places[2], Start::Join, &theirs)).await.unwrap();
    let plain = TopologyNode::start(places[3].config(Start::Join, &podway_topology::Tuning::default()));
    let plain = plain.await.unwrap();

    let store = first.store();
    let add = |place: &Place| MemberChange::Add { id: place.id, peer: place.peer.to_string() };
    assert_eq!(voters(&store.change_members(add(&places[1])).await.unwrap()), [1, 2]);
    for place in &places[2..] {
        let text = refusal(store.change_members(add(place)).await);
        assert!(text.contains("does not say who it is"), "{text}");
    }
    Writer::new(second.store()).change(5).await;
    assert_eq!(setting_at(&second.store(), true).await, 5);
    assert_eq!(second.store().members().await.unwrap().nodes[1].id, NodeId(2));
    for node in [first, second, forger, plain] {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_token_allows_what_its_right_does() {
    let tokens = Right::ALL.map(|right| (Token::random(), right));
    let mut config = NodeConfig::embedded(None);
    config.clients.tokens = tokens.to_vec();
    let node = TopologyNode::start(config).await.unwrap();
    node.wait_until_ready(PATIENCE).await.unwrap();
    let [read, proxy, admin] = tokens.map(|(token, _)| client(&node, None, Some(token)));
    let set = || Proposal { client: ClientId(9), sequence: 1, who: "the test".into(), command: setting(1) };
    let info = || ProxyInfo { name: "p".into(), address: "h:1".into(), version: "0".into() };
    for client in [&read, &proxy, &admin] {
        client.read(true).await.unwrap();
        client.members().await.unwrap();
        drop(client.watch(podway_model::Revision(0)).await.unwrap());
    }
    let no = |refused: Option<StoreError>, missing: &str| match refused {
        Some(StoreError::NotAllowed(text)) => assert!(text.contains(missing), "{text}"),
        other => panic!("not refused: {other:?}"),
    };
    no(read.credentials().await.err(), "`proxy`");
    no(read.propose_once(set()).await.err(), "`admin`");
    assert!(matches!(read.register(info()).await, Err(ProposeError::Store(StoreError::NotAllowed(_)))));
    proxy.credentials().await.unwrap();
    let registered = proxy.register(info()).await.unwrap();
    let beat = Beat {
        incarnation: registered.incarnation,
        applied: podway_model::Revision(0),
        settled: podway_model::Revision(0),
        clock: podway_model::HybridTime::default(),
        clocks: Default::default(),
        drained: Vec::new(),
    };
    assert!(proxy.beat(beat.clone()).await.unwrap().has_lease);
    no(read.beat(beat).await.err(), "`proxy`");
    no(proxy.propose_once(set()).await.err(), "`admin`");
    no(proxy.change_members(MemberChange::Remove { id: NodeId(1) }).await.err(), "`admin`");
    admin.propose_once(set()).await.unwrap().unwrap();
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_renewed_on_both_ports_without_a_restart() {
    let (old, new) = (Authority::new(), Authority::new());
    let clients = |authority: &Authority| ClientListenerTls {
        identity: authority.identity(),
        client_ca: None,
        rights: Vec::new(),
    };
    let peers = |authority: &Authority| PeerTls {
        identity: authority.identity(),
        ca: authority.pem(),
        server_name: None,
    };
    let places = [Place::new(1), Place::new(2), Place::new(3)];
    let start = |place: &Place, start| {
        let mut config = place.config(start, &podway_topology::Tuning::default());
        config.clients.tls = Some(clients(&old));
        let tls = Some(peers(&old));
        config.peers = Some(PeerListener { listen: place.peer, advertise: None, tls });
        TopologyNode::start(config)
    };
    let members: Vec<InitialMember> =
        places.iter().map(|place| InitialMember { id: place.id, peer: place.peer.to_string() }).collect();
    let mut nodes = Vec::new();
    for place in &places {
        nodes.push(start(place, Start::Together(members.clone())).await.unwrap());
    }
    for node in &nodes {
        node.wait_until_ready(PATIENCE).await.unwrap();
    }
    let before = client(&nodes[0], tls(&old, None), None);
    Writer::new(before.clone()).changes(0..3).await;
    let broken = ClientListenerTls {
        identity: Identity { certificate: Pem::new("none"), key: Pem::new("none") },
        client_ca: None,
        rights: Vec::new(),
    };
    assert!(nodes[0].renew(Some(&broken), Some(&peers(&new))).is_err(), "nothing changes");
    Writer::new(before.clone()).changes(3..6).await;
    for node in &nodes {
        node.renew(Some(&clients(&new)), Some(&peers(&new))).unwrap();
    }
    Writer::new(before).changes(6..9).await;
    let after = client(&nodes[0], tls(&new, None), None);
    Writer::new(after.clone()).changes(9..12).await;
    assert!(client(&nodes[0], tls(&old, None), None).read(false).await.is_err(), "it shows the new one");

    // A node that comes back has the new certificates only: the others take it, and it takes them.
    nodes.remove(2).stop().await;
    let mut config = places[2].config(Start::Join, &podway_topology::Tuning::default());
    config.clients.tls = Some(clients(&new));
    config.peers = Some(PeerListener { listen: places[2].peer, advertise: None, tls: Some(peers(&new)) });
    let back = TopologyNode::start(config).await.unwrap();
    back.wait_until_ready(PATIENCE).await.unwrap();
    Writer::new(after).changes(12..15).await;
    assert_eq!(setting_at(&back.store(), true).await, 14);
    for node in nodes.into_iter().chain([back]) {
        node.stop().await;
    }
}
