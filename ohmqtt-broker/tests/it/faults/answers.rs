//! Packets to the client that are withheld or change places.

use ohmqtt_broker::faults::{Packet, PacketType};
use ohmqtt_client::Qos;
use ohmqtt_codec::Delivery;

use super::{client, connected, disconnected, faulty, payloads, publish, soon};
use crate::client::{Client as Scripted, publish as scripted};

#[tokio::test]
async fn a_message_whose_answer_is_withheld_is_acknowledged_when_it_is_released() {
    for (qos, answers) in [
        (Qos::AtLeastOnce, &[PacketType::PubAck][..]),
        (Qos::ExactlyOnce, &[PacketType::PubRec, PacketType::PubComp]),
    ] {
        for &answer in answers {
            let (broker, faults) = faulty().await;
            let writer = client(&broker, "writer").await;
            faults.client("writer").withhold(answer);
            let withheld = publish(&writer, "x", qos).await;
            if answer == PacketType::PubComp {
                let is_pubrel = |packet: &Packet| matches!(packet, Packet::PubRel(_));
                soon(faults.wait_for("writer", is_pubrel)).await;
            }
            // What is of another type, and the answers to others, are not.
            let other = client(&broker, "other").await;
            soon(publish(&other, "y", qos).await.acked()).await.unwrap();
            soon(writer.subscribe("u").await.unwrap().granted())
                .await
                .unwrap();
            let wait = withheld.wait_acked(std::time::Duration::ZERO);
            assert!(wait.is_err(), "{answer:?}");
            faults.client("writer").release(answer);
            soon(withheld.acked()).await.unwrap();
            assert_eq!(payloads(&faults.sent_by("writer")), ["x"]);
        }
    }
}

#[tokio::test]
async fn a_subscription_waits_for_its_withheld_suback() {
    let (broker, faults) = faulty().await;
    faults.all().withhold(PacketType::SubAck);
    let reader = client(&broker, "reader").await;
    let subscription = reader.subscribe("t").send().unwrap();
    let is_subscribe = |packet: &Packet| matches!(packet, Packet::Subscribe(_));
    soon(faults.wait_for("reader", is_subscribe)).await;
    let brief = std::time::Duration::from_millis(20);
    assert!(
        tokio::time::timeout(brief, subscription.granted())
            .await
            .is_err()
    );
    faults.all().release(PacketType::SubAck);
    soon(subscription.granted()).await.unwrap();
}

#[tokio::test]
async fn a_qos_2_message_comes_once_when_pubrel_is_lost_with_the_connection() {
    let (broker, faults) = faulty().await;
    let reader = client(&broker, "reader").await;
    let mut events = reader.events();
    let mut inbox = soon(reader.subscribe("t").qos(Qos::ExactlyOnce))
        .await
        .unwrap();
    faults.client("reader").withhold(PacketType::PubRel);
    let writer = client(&broker, "writer").await;
    publish(&writer, "x", Qos::ExactlyOnce).await;
    let is_pubrec = |packet: &Packet| matches!(packet, Packet::PubRec(_));
    let first = async {
        let message = soon(inbox.recv()).await.unwrap();
        assert_eq!(message.payload, "x");
    };
    tokio::join!(first, soon(faults.wait_for("reader", is_pubrec)));
    faults.client("reader").cut();
    disconnected(&mut events).await;
    faults.client("reader").mend();
    let is_pubcomp = |packet: &Packet| matches!(packet, Packet::PubComp(_));
    soon(faults.wait_for("reader", is_pubcomp)).await;
    publish(&writer, "y", Qos::ExactlyOnce).await;
    assert_eq!(soon(inbox.recv()).await.unwrap().payload, "y");
}

#[tokio::test]
async fn answers_that_change_places_find_their_messages() {
    let (broker, faults) = faulty().await;
    let writer = client(&broker, "writer").await;
    let mut events = writer.events();
    faults.client("writer").reorder(PacketType::PubAck, 3);
    let mut publications = Vec::new();
    for payload in ["a", "b", "c", "d"] {
        publications.push(publish(&writer, payload, Qos::AtLeastOnce).await);
    }
    for publication in &publications[..3] {
        soon(publication.acked()).await.unwrap();
    }
    // One does not make three: it is still held when an answer behind it has come.
    soon(writer.subscribe("u").await.unwrap().granted())
        .await
        .unwrap();
    assert!(
        publications[3]
            .wait_acked(std::time::Duration::ZERO)
            .is_err()
    );
    faults.client("writer").release(PacketType::PubAck);
    soon(publications[3].acked()).await.unwrap();
    connected(&writer).await;
    assert!(events.try_recv().is_none());
}

#[tokio::test]
async fn answers_come_the_last_first() {
    let (broker, faults) = faulty().await;
    faults.all().reorder(PacketType::PubAck, 2);
    let mut writer = Scripted::connect(&broker, "writer").await;
    let ids = [(); 4].map(|()| writer.next_id());
    for packet_id in ids {
        let mut message = scripted("t", "x");
        message.delivery = Delivery::AtLeastOnce {
            packet_id,
            dup: false,
        };
        writer.send(Packet::Publish(message)).await;
    }
    for place in [1, 0, 3, 2] {
        match writer.receive().await {
            Packet::PubAck(ack) => assert_eq!(ack.packet_id, ids[place]),
            other => panic!("{other:?}"),
        }
    }
}
