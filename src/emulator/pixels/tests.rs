use super::*;

fn names(picture: &image::RgbImage, format: image::ImageFormat) -> Vec<&'static str> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    let traits = read(&bytes.into_inner()).unwrap();
    assert!(traits.0.iter().all(|(_, label)| (1..=100).contains(&label.confidence)));
    traits.0.into_iter().map(|(_, label)| label.name).collect()
}

#[test]
fn a_picture_of_one_colour_has_the_labels_of_its_colour_and_shape() {
    let cases: [(&[u8; 3], u32, u32, &[&str]); 5] = [
        (&[220, 20, 20], 90, 60, &["红色", "横图", "暖色调", "低对比度", "画面平滑"]),
        (&[20, 40, 220], 60, 90, &["蓝色", "竖图", "冷色调", "昏暗"]),
        (&[255, 255, 255], 64, 64, &["白色", "方图", "明亮", "黑白"]),
        (&[5, 5, 5], 64, 64, &["黑色", "昏暗", "黑白"]),
        (&[30, 200, 40], 64, 64, &["绿色", "鲜艳", "亮度适中"]),
    ];
    for (colour, width, height, wanted) in cases {
        let picture = image::RgbImage::from_pixel(width, height, image::Rgb(*colour));
        for format in [image::ImageFormat::Png, image::ImageFormat::Jpeg] {
            let names = names(&picture, format);
            for name in wanted {
                assert!(names.contains(name), "{colour:?} {name}: {names:?}");
            }
        }
    }
}

#[test]
fn a_picture_of_stripes_has_contrast_texture_and_both_colours() {
    let picture = image::RgbImage::from_fn(80, 80, |x, _| {
        image::Rgb(if x / 4 % 2 == 0 { [0, 0, 0] } else { [255, 255, 255] })
    });
    let names = names(&picture, image::ImageFormat::Png);
    for name in ["高对比度", "纹理丰富", "黑色", "白色", "黑白"] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
}

#[test]
fn a_file_that_is_not_a_picture_has_no_labels() {
    assert_eq!(read(b""), None);
    assert_eq!(read(b"some text"), None);
    assert_eq!(read(b"\x89PNG\r\n\x1a\nbroken"), None);
}
